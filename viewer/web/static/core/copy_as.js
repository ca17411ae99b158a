// Commands that publish a message again, to be pasted elsewhere.

const SET_BY_FANOUT = ["fanout-original-id"];

// For a shell: in single quotes, which end for each single quote inside.
const shell = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

// The attributes that it was published with: `write(type, value)` returns each as the command takes it.
const attributesOf = ({ attributes, attribute_types: types }, write) =>
  Object.fromEntries(
    Object.entries(attributes)
      .filter(([name]) => !SET_BY_FANOUT.includes(name))
      .map(([name, value]) => [name, write(types?.[name] ?? "String", value)]),
  );

// As the command line and boto3 take them; binary values are in base64.
const forAws = (type, value) => ({
  DataType: type,
  [type.startsWith("Binary") ? "BinaryValue" : "StringValue"]: value,
});

// What else it was published with, by the names of the parameters of Publish; a FIFO topic would drop another
// message with the same deduplication id.
function parametersOf(message) {
  const { subject, group_id: group } = message;
  const isFifo = (message.topic ?? "").endsWith(".fifo");
  return Object.entries({
    Subject: subject,
    MessageGroupId: isFifo ? (group ?? "fanout") : null,
    MessageDeduplicationId: isFifo ? `copy-${Date.now()}` : null,
  }).filter(([, value]) => value);
}

const optionOf = (name) => `--${name.replaceAll(/(?<=[a-z])(?=[A-Z])/g, "-").toLowerCase()}`;

// The topic that it came from if that is known, else that of the pipeline.
const topicOf = (message) => message.topic_arn ?? document.body.dataset.topic;

const python = (value) =>
  typeof value === "string"
    ? JSON.stringify(value)
    : `{${Object.entries(value)
        .map(([name, inner]) => `${JSON.stringify(name)}: ${member(name, inner)}`)
        .join(", ")}}`;
const member = (name, value) =>
  name === "BinaryValue" ? `base64.b64decode(${JSON.stringify(value)})` : python(value);

// What POST /api/messages/exact takes to publish this message again.
const exactly = (message) => ({
  body: message.body,
  attributes: attributesOf(message, (type, value) => ({ type, value })),
  ...(message.subject ? { subject: message.subject } : {}),
  ...(message.topic ? { topic: message.topic } : {}),
  ...(message.group_id ? { group_id: message.group_id } : {}),
});

// By their names in the menu: each returns the text for a message.
export const COPY_AS = {
  "aws sns publish": (message) => {
    const attributes = attributesOf(message, forAws);
    const more = parametersOf(message).map(([name, value]) => ` ${optionOf(name)} ${shell(value)}`);
    if (Object.keys(attributes).length)
      more.push(` --message-attributes ${shell(JSON.stringify(attributes))}`);
    const { publish, topic } = document.body.dataset;
    const command = publish.replace(topic, () => topicOf(message));
    return `${command} --message ${shell(message.body)}${more.join("")}`;
  },
  curl: (message) => {
    const sent = JSON.stringify(exactly(message));
    const address = new URL("api/messages/exact", location.href);
    return `curl ${address} -H 'Content-Type: application/json' --data-raw ${shell(sent)}`;
  },
  Python: (message) => {
    const { endpoint } = document.body.dataset;
    const client = endpoint ? `boto3.client("sns", endpoint_url="${endpoint}")` : 'boto3.client("sns")';
    const call = [
      `TopicArn=${JSON.stringify(topicOf(message))}`,
      `Message=${JSON.stringify(message.body)}`,
      ...parametersOf(message).map(([name, value]) => `${name}=${JSON.stringify(value)}`),
      `MessageAttributes=${python(attributesOf(message, forAws))}`,
    ];
    return `import base64, boto3; ${client}.publish(${call.join(", ")})`;
  },
};
