// What the suite's scenarios expect a server to have: its tools, prompts and resources, in words that both eras share.
// A tool's `call` gets its arguments and a `turn`: what it can do while it runs, which each era does in its own way.

const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";
const SILENCE = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";
const DRAFT = "https://json-schema.org/draft/2020-12/schema";

export const text = (value) => ({ type: "text", text: value });
const image = { type: "image", data: PIXEL, mimeType: "image/png" };
const embedded = (uri, mimeType, value) => ({ type: "resource", resource: { uri, mimeType, text: value } });
export const said = (value) => ({ content: [text(value)] });
export const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

const object = (properties = {}, more = {}) => ({ type: "object", properties, ...more });
export const tool = (name, description, call, inputSchema = object()) => ({
  definition: { name, description, inputSchema },
  call,
});

export const form = (message, properties) => ({
  method: "elicitation/create",
  params: { message, requestedSchema: object(properties, { required: Object.keys(properties) }) },
});
export const question = (value, maxTokens = 100) => ({
  method: "sampling/createMessage",
  params: { messages: [{ role: "user", content: text(value) }], maxTokens },
});

async function counts(_, turn) {
  for (const progress of [0, 50, 100]) {
    await turn.progress(progress, 100);
    await pause(20);
  }
  return said("Counted to 100.");
}

/** Tools of both eras. */
export const tools = [
  tool("test_simple_text", "Answers with a text", () => said("This is a simple text response for testing.")),
  tool("test_image_content", "Answers with an image", () => ({ content: [image] })),
  tool("test_audio_content", "Answers with a sound", () => ({
    content: [{ type: "audio", data: SILENCE, mimeType: "audio/wav" }],
  })),
  tool("test_embedded_resource", "Answers with a resource", () => ({
    content: [embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")],
  })),
  tool("test_multiple_content_types", "Answers with a text, an image and a resource", () => ({
    content: [
      text("Multiple content types test:"),
      image,
      embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
    ],
  })),
  tool("test_error_handling", "Fails each time", () => ({
    isError: true,
    content: [text("This tool intentionally returns an error for testing")],
  })),
  tool("test_tool_with_progress", "Reports progress while it runs", counts),
  tool(
    "json_schema_2020_12_tool",
    "Describes its arguments with all that JSON Schema 2020-12 has",
    (given) => said(JSON.stringify(given)),
    {
      $schema: DRAFT,
      type: "object",
      $defs: { address: { $anchor: "addressDef", ...object({ street: { type: "string" }, city: { type: "string" } }) } },
      properties: {
        name: { type: "string" },
        address: { $ref: "#/$defs/address" },
        contactMethod: { type: "string", enum: ["phone", "email"] },
        phone: { type: "string" },
        email: { type: "string" },
      },
      allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
      if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
      then: { required: ["phone"] },
      else: { required: ["email"] },
      additionalProperties: false,
    },
  ),
];

const message = (content) => ({ role: "user", content });
const argument = (name) => ({ name, description: `The ${name}`, required: true });

export const prompts = [
  {
    definition: { name: "test_simple_prompt", description: "One message" },
    get: () => [message(text("This is a simple prompt for testing."))],
  },
  {
    definition: {
      name: "test_prompt_with_arguments",
      description: "One message that repeats its arguments",
      arguments: [argument("arg1"), argument("arg2")],
    },
    get: ({ arg1, arg2 }) => [message(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`))],
  },
  {
    definition: {
      name: "test_prompt_with_embedded_resource",
      description: "A resource, and what to do with it",
      arguments: [argument("resourceUri")],
    },
    get: ({ resourceUri }) => [
      message(embedded(resourceUri, "text/plain", "Embedded resource content for testing.")),
      message(text("Please process the embedded resource above.")),
    ],
  },
  {
    definition: { name: "test_prompt_with_image", description: "An image, and what to do with it" },
    get: () => [message(image), message(text("Please analyze the image above."))],
  },
];

export const resources = [
  { uri: "test://static-text", name: "static-text", description: "A text", mimeType: "text/plain" },
  { uri: "test://static-binary", name: "static-binary", description: "A picture", mimeType: "image/png" },
  { uri: "test://watched-resource", name: "watched-resource", description: "What may change", mimeType: "text/plain" },
];
export const templates = [
  {
    uriTemplate: "test://template/{id}/data",
    name: "template",
    description: "One for each id",
    mimeType: "application/json",
  },
];

/** The contents of a resource; `undefined` where there is none. */
export function read(uri) {
  const of = (mimeType, content) => [{ uri, mimeType, ...content }];
  const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1];
  if (id) return of("application/json", { text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }) });
  return {
    "test://static-text": of("text/plain", { text: "This is the content of the static text resource." }),
    "test://static-binary": of("image/png", { blob: PIXEL }),
    "test://watched-resource": of("text/plain", { text: "This may change." }),
  }[uri];
}

export const completed = { completion: { values: ["testing"], total: 1, hasMore: false } };
