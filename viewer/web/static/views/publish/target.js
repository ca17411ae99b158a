// Where a draft is published to: a topic or a queue, and what FIFO and a delay need beside its name.

import { ask } from "../../core/api.js";
import { element } from "../../core/dom.js";

const MAX_GROUP = 128;
const MAX_DELAY_SECONDS = 900;
const MAX_NAME = 256;

export const ownTopic = document.body.dataset.topic.split(":").at(-1);

export const line = (id, label, ...fields) =>
  element("p", { class: "actions" }, element("label", { for: id }, label), ...fields);

// The fields, as `lines` of a form. `chosen()` is called after one was filled by other hands than the reader's.
export class Target {
  #kind = element(
    "select",
    { id: "publish-kind", change: () => this.#offer() },
    element("option", { value: "topic" }, "Topic"),
    element("option", { value: "queue" }, "Queue"),
  );
  #names = element("datalist", { id: "publish-names" });
  #name = element("input", {
    id: "publish-name",
    list: "publish-names",
    required: true,
    maxlength: MAX_NAME,
  });
  #group = element("input", { id: "publish-group", maxlength: MAX_GROUP, placeholder: "fanout" });
  #once = element("input", { id: "publish-once", maxlength: MAX_GROUP, placeholder: "a new one" });
  #delay = element("input", {
    id: "publish-delay",
    type: "number",
    min: 0,
    max: MAX_DELAY_SECONDS,
    placeholder: "0",
  });
  #groupLine = line("publish-group", "Message group ", this.#group);
  #onceLine = line("publish-once", "Deduplication id ", this.#once);
  #delayLine = line("publish-delay", "Delay in seconds ", this.#delay);
  #known = { topic: [], queue: [] }; // names, of those that the endpoint has
  lines = [
    line("publish-kind", "To ", this.#kind, this.#name, this.#names),
    this.#groupLine,
    this.#onceLine,
    this.#delayLine,
  ];

  get name() {
    return this.#name.value;
  }

  get isQueue() {
    return this.#kind.value === "queue";
  }

  get isOwnTopic() {
    return !this.isQueue && this.name === ownTopic;
  }

  get isFifo() {
    return this.name.endsWith(".fifo");
  }

  // What a draft says of it; "" of what does not apply.
  read() {
    return {
      topic: this.isQueue ? "" : this.name,
      queue: this.isQueue ? this.name : "",
      groupId: this.isFifo ? this.#group.value : "",
      deduplicationId: this.isFifo ? this.#once.value : "",
      delay: this.isQueue && !this.isFifo ? this.#delay.value : "",
    };
  }

  write({ topic, queue, groupId = "", deduplicationId = "", delay = "" }) {
    this.#kind.value = queue ? "queue" : "topic";
    this.#name.value = queue || topic || ownTopic;
    this.#group.value = groupId ?? "";
    this.#once.value = deduplicationId;
    this.#delay.value = delay;
    this.#offer();
  }

  // Shows what applies.
  draw() {
    this.#name.ariaLabel = this.isQueue ? "Queue" : "Topic";
    this.#groupLine.hidden = this.#onceLine.hidden = !this.isFifo;
    this.#delayLine.hidden = !this.isQueue || this.isFifo;
  }

  // Offers what the endpoint has, and returns whether that is known yet. The pipeline's own topic may not be among
  // it, where others are watched.
  async fetchNames(chosen) {
    const { read_at: readAt, topics, queues } = await ask("api/topology");
    this.#known = { topic: topics.map(({ name }) => name), queue: queues.map(({ name }) => name) };
    this.#offer();
    if (topics.length && this.isOwnTopic && !this.#known.topic.includes(ownTopic)) {
      this.#name.value = "";
      chosen();
    }
    return readAt !== null;
  }

  #offer() {
    this.#names.replaceChildren(
      ...this.#known[this.#kind.value].map((value) => element("option", { value })),
    );
    this.draw();
  }
}
