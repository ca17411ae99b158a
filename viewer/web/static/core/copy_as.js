// Commands that publish a message again, to be pasted elsewhere.

const SET_BY_FANOUT = ["fanout-original-id"];

// For a shell: in single quotes, which end for each single quote inside.
const shell = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

const attributesOf = ({ attributes }) =>
  Object.fromEntries(
    Object.entries(attributes)
      .filter(([name]) => !SET_BY_FANOUT.includes(name))
      .map(([name, value]) => [name, { DataType: "String", StringValue: value }]),
  );

// By their names in the menu: each returns the text for a message.
export const COPY_AS = {
  "aws sns publish": (message) => {
    const attributes = attributesOf(message);
    const more = Object.keys(attributes).length
      ? ` --message-attributes ${shell(JSON.stringify(attributes))}`
      : "";
    return `${document.body.dataset.publish} --message ${shell(message.body)}${more}`;
  },
  curl: ({ body }) => {
    const sent = JSON.stringify({ body });
    const address = new URL("api/messages/exact", location.href);
    return `curl ${address} -H 'Content-Type: application/json' --data-raw ${shell(sent)}`;
  },
  Python: (message) => {
    const { topic, endpoint } = document.body.dataset;
    const client = endpoint ? `boto3.client("sns", endpoint_url="${endpoint}")` : 'boto3.client("sns")';
    const call = [
      `TopicArn="${topic}"`,
      `Message=${JSON.stringify(message.body)}`,
      `MessageAttributes=${JSON.stringify(attributesOf(message))}`,
    ];
    return `import boto3; ${client}.publish(${call.join(", ")})`;
  },
};
