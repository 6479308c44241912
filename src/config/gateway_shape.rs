//! What `tollgate.yaml` may hold, key by key: the one description that validation, schema and messages share.

use super::{
    raw::{Content, ExportProtocol, GenaiNames, OnFailure, Pin, Scope, UpstreamKind},
    scalar::Scalar,
    shape::{Hush, MapShape, Shape, Together, key, map, scalar},
    tenant_shape::{CONTENT, DEFAULTS, INLINE_TENANT},
};

const ADDRESS: Shape = scalar(Scalar::Address);
const DURATION: Shape = scalar(Scalar::Duration);
const PATH: Shape = scalar(Scalar::Path);
const SIZE: Shape = scalar(Scalar::Size);
const URL: Shape = scalar(Scalar::Url);
const COUNT: Shape = scalar(Scalar::Count { min: 1, max: 1_000_000 });

static PATHS: Shape = PATH;
static URLS: Shape = URL;
static TEXTS: Shape = scalar(Scalar::Text);
static UPSTREAM_NAMES: Shape = scalar(Scalar::UpstreamName);

pub(crate) static GATEWAY: MapShape = map(
    "tollgate.yaml",
    &[
        key(
            "listen",
            Shape::Either(&[ADDRESS, Shape::Map(&LISTENER), Shape::List(&LISTENERS)]),
            "Where agents connect: an address, or a list of addresses, each with its TLS.",
        )
        .or("127.0.0.1:8080"),
        key("admin", ADDRESS, "Admin API and page, probes and metrics; never on the agents' port.")
            .or("127.0.0.1:8081"),
        key(
            "admin_token",
            Shape::Secret,
            "The bearer token of the admin API; required where `admin` is not a loopback address.",
        )
        .like("{ file: /run/secrets/admin }"),
        key("probes", ADDRESS, "A port for /livez, /readyz and /metrics alone, for kubelet and scrapers.")
            .like("0.0.0.0:8082"),
        key("data_dir", PATH, "Where the usage ledger, the audit chains and the logs are.").or("./data"),
        key(
            "tenants",
            Shape::Either(&[
                PATH,
                Shape::List(&PATHS),
                Shape::Names { name: Scalar::TenantName, each: &INLINE },
            ]),
            "Directory of tenant files, a list of directories, or the tenants themselves by name.",
        )
        .required()
        .like("tenants/"),
        key(
            "upstreams",
            Shape::Names { name: Scalar::UpstreamName, each: &UPSTREAMS },
            "The servers that the gateway forwards to, by name.",
        ),
        key(
            "models",
            Shape::Names { name: Scalar::Glob, each: &MODELS },
            "What clients may ask for: exact names first, then the longest glob.",
        ),
        key(
            "identity",
            Shape::Map(&IDENTITY),
            "How callers are known besides keys, each from verified data only.",
        ),
        key("limits", Shape::Map(&LIMITS), "What any request may be, and how long a shutdown may take."),
        key(
            "shared_state",
            Shape::Map(&SHARED),
            "Where several gateways share limits and spend; without it, this process counts alone.",
        ),
        key(
            "allowed_hosts",
            Shape::List(&TEXTS),
            "Host and Origin names that are accepted besides the listen address and, on loopback, localhost.",
        )
        .or("[]"),
        key(
            "public_url",
            URL,
            "Where clients find the gateway, without a path; without it, the Host that they name. Its host is an allowed one.",
        )
        .like("https://gateway.example"),
        key("telemetry", Shape::Map(&TELEMETRY), "Where traces and logs are pushed."),
        key("records", Shape::Map(&RECORDS), "How records are kept."),
        key(
            "defaults",
            Shape::Map(&DEFAULTS),
            "What a tenant's file does not say; any of its keys except tenant and keys.",
        )
        .or("{}"),
    ],
);

static INLINE: Shape = Shape::Map(&INLINE_TENANT);
static UPSTREAMS: Shape = Shape::Map(&UPSTREAM);
static MODELS: Shape = Shape::Map(&MODEL);
static LISTENERS: Shape = Shape::Either(&[ADDRESS, Shape::Map(&LISTENER)]);

static LISTENER: MapShape = map(
    "listener",
    &[
        key("address", ADDRESS, "Address and port.").required().like("0.0.0.0:8443"),
        key("tls", Shape::Map(&TLS), "Certificate of this address; without it, plain HTTP."),
    ],
);

static TLS: MapShape = map(
    "TLS",
    &[
        key("cert", PATH, "Certificate chain, PEM.").required().like("tls/server.pem"),
        key("key", PATH, "Private key, PEM.").required().like("tls/server.key"),
        key("client_ca", PATH, "Who signs clients' certificates, PEM; needed for `identity.mtls`.")
            .like("tls/clients.pem"),
    ],
);

const STORES: &[&str] = &["chroma", "qdrant", "pinecone", "opensearch", "weaviate"];

static UPSTREAM: MapShape = MapShape {
    title: "upstream",
    keys: &[
        key("kind", scalar(Scalar::Word(UpstreamKind::WORDS)), "What the server speaks.").required(),
        key("url", URL, "Its address, with the path under which its API begins.").like("https://api.openai.com/v1"),
        key("urls", Shape::List(&URLS), "Several addresses, to balance over.").like("[http://vllm-1:8000/v1, http://vllm-2:8000/v1]"),
        key("command", Shape::List(&TEXTS), "Program and arguments of an MCP server over stdio, which the gateway runs, a process a tenant.").like("[npx, -y, some-mcp-server]"),
        key("env", Shape::Names { name: Scalar::Variable, each: &SECRETS }, "Environment variables of `command`, by name. Of the gateway's own it finds PATH, HOME and a few like them."),
        key("auth", Shape::Either(&[Shape::Map(&AUTH), Shape::Some(&AUTHS)]), "The gateway's credential there; a list is a pool of keys.")
            .like("{ bearer: { env: OPENAI_API_KEY } }"),
        key("ca", PATH, "Certificate authorities to trust besides the usual ones, PEM.").like("internal-ca.pem"),
        key("deny_private", scalar(Scalar::Bool), "Whether addresses of private networks, this machine and metadata services are denied, whatever the name resolves to.").or("false"),
        key("max_in_flight", COUNT, "Requests at a time, shared by all tenants by weighted fair queueing; without it, no limit.").like("64"),
        key("queue", Shape::Map(&QUEUE), "The fair queue before the upstream."),
        key("timeout", Shape::Map(&TIMEOUT), "How long the upstream may take."),
        key("retry", Shape::Map(&RETRY), "How often a failed request is tried again."),
        key("pin", scalar(Scalar::Word(Pin::WORDS)), "What becomes of the definitions of an MCP server's tools.").or("off"),
        key("tenant_field", scalar(Scalar::Text), "The field of a vector store's records that holds the tenant: reads are filtered by it, writes stamped with it. Not needed where `scope` is `collection`.")
            .or("tenant_id"),
        key("scope", scalar(Scalar::Word(Scope::WORDS)), "How a vector store keeps tenants apart. Where nothing is written for `pinecone`, both ways hold: each tenant has namespaces of its own, and their records name it.").or("field"),
        key("collections", scalar(Scalar::Text), "What a tenant's own collections are called in the store, where `scope` is `collection`: `{tenant.id}` is the tenant's name, `{collection}` at the end what the client calls them.")
            .or("\"{tenant.id}_{collection}\""),
        key("operations", Shape::Names { name: Scalar::Id, each: &OPERATIONS }, "The operations of a plain HTTP tool API, by name: method and path.")
            .like("{ get_invoice: \"GET /invoices/{id}\" }"),
    ],
    rules: &[
        Together::ExactlyOne(&["url", "urls", "command"]),
        Together::OnlyFor { key: "command", by: "kind", words: &["mcp"] },
        Together::Needs { key: "env", other: "command" },
        Together::OnlyFor { key: "pin", by: "kind", words: &["mcp"] },
        Together::OnlyFor { key: "tenant_field", by: "kind", words: STORES },
        Together::OnlyFor { key: "scope", by: "kind", words: STORES },
        Together::OnlyFor { key: "collections", by: "scope", words: &["collection"] },
        Together::OnlyFor { key: "operations", by: "kind", words: &["http"] },
        Together::RequiredFor { key: "operations", by: "kind", words: &["http"] },
    ],
    hush: Hush::Shown,
};

static SECRETS: Shape = Shape::Secret;
static AUTHS: Shape = Shape::Map(&AUTH);
static OPERATIONS: Shape = scalar(Scalar::Operation);

pub(crate) static AUTH: MapShape = MapShape {
    title: "credential",
    keys: &[
        key("bearer", Shape::Secret, "Sent as `Authorization: Bearer`.").like("{ env: OPENAI_API_KEY }"),
        key("header", Shape::Map(&HEADER), "Sent in a header of its own.")
            .like("{ name: x-api-key, value: { file: /run/secrets/anthropic } }"),
    ],
    rules: &[Together::ExactlyOne(&["bearer", "header"])],
    hush: Hush::Hidden,
};

static HEADER: MapShape = MapShape {
    title: "header",
    keys: &[
        key("name", scalar(Scalar::HeaderName), "The header's name.").required().like("x-api-key"),
        key("value", Shape::Secret, "The header's value.")
            .required()
            .like("{ file: /run/secrets/anthropic }"),
    ],
    rules: &[],
    hush: Hush::Hidden,
};

static QUEUE: MapShape = map(
    "queue",
    &[
        key("per_tenant", COUNT, "Requests of one tenant that may wait; beyond it 503, to that tenant.")
            .or("256"),
        key("wait", DURATION, "How long a request may wait.").or("30s"),
    ],
);

static TIMEOUT: MapShape = map(
    "timeout",
    &[
        key("connect", DURATION, "To connect.").or("5s"),
        key("first_byte", DURATION, "To the answer's first byte.").or("60s"),
        key("idle", DURATION, "Between two pieces of the answer.").or("120s"),
        key("total", DURATION, "For the whole answer; without it, as long as it goes on.").like("10m"),
    ],
);

static RETRY: MapShape = map(
    "retry",
    &[key(
        "attempts",
        scalar(Scalar::Count { min: 0, max: 10 }),
        "Further tries, only before the first byte to the client.",
    )
    .or("2")],
);

static MODEL: MapShape = map(
    "model",
    &[
        key(
            "upstream",
            Shape::Either(&[scalar(Scalar::UpstreamName), Shape::Some(&UPSTREAM_NAMES)]),
            "Which upstream serves it; several are tried in order.",
        )
        .required()
        .like("[groq, openai]"),
        key(
            "as",
            scalar(Scalar::Text),
            "What the upstream calls it; without it, the name that the client used.",
        )
        .like("llama-4"),
        key(
            "price",
            Shape::Map(&PRICE),
            "US dollars for a million tokens; without it, the model costs nothing.",
        ),
    ],
);

static PRICE: MapShape = map(
    "price",
    &[
        key("input", scalar(Scalar::Dollars), "For a million input tokens.").like("1.25"),
        key(
            "cached_input",
            scalar(Scalar::Dollars),
            "For a million input tokens that the provider had cached; without it, as `input`.",
        )
        .like("0.125"),
        key(
            "cache_write",
            scalar(Scalar::Dollars),
            "For a million input tokens that the provider puts into its cache; without it, as `input`.",
        )
        .like("1.5625"),
        key("output", scalar(Scalar::Dollars), "For a million output tokens.").like("10"),
    ],
);

static IDENTITY: MapShape = map(
    "identity",
    &[
        key("jwt", Shape::List(&JWTS), "Issuers of tokens."),
        key("mtls", Shape::Map(&MTLS), "Client certificates."),
        key(
            "fixed",
            scalar(Scalar::TenantName),
            "Whoever reaches this port is this tenant; only with a loopback listen.",
        )
        .like("acme"),
    ],
);

static JWTS: Shape = Shape::Map(&JWT);

static JWT: MapShape = map(
    "token issuer",
    &[
        key("issuer", scalar(Scalar::Text), "What `iss` must be.").required().like("https://idp.example"),
        key(
            "id",
            scalar(Scalar::Id),
            "What the ids of its callers begin with, before `:` and `sub`; without it `jwt`, of the second issuer `jwt2`.",
        )
        .or("jwt"),
        key(
            "audience",
            Shape::Either(&[scalar(Scalar::Text), Shape::Some(&TEXTS)]),
            "What `aud` must hold; of several, one is enough.",
        )
        .required()
        .like("tollgate"),
        key("jwks", Shape::Map(&JWKS), "The issuer's public keys.").required().like("{ file: jwks.json }"),
        key("tenant", scalar(Scalar::Claim), "The claim that names the tenant.")
            .required()
            .like("claims.org"),
    ],
);

static JWKS: MapShape = MapShape {
    title: "key set",
    keys: &[
        key("file", PATH, "A file that holds the key set.").like("jwks.json"),
        key("url", URL, "Where the key set is fetched.").like("https://idp.example/jwks.json"),
        key("ca", PATH, "Certificate authorities to trust there besides the usual ones, PEM.")
            .like("internal-ca.pem"),
    ],
    rules: &[Together::ExactlyOne(&["file", "url"]), Together::Needs { key: "ca", other: "url" }],
    hush: Hush::Shown,
};

static MTLS: MapShape = map(
    "client certificates",
    &[key(
        "tenant",
        scalar(Scalar::SanPattern),
        "What a certificate's URI name must be; `{tenant}` stands for the tenant's name.",
    )
    .required()
    .like("spiffe://example.org/ns/{tenant}/sa/*")],
);

static LIMITS: MapShape = map(
    "limits",
    &[
        key("body", SIZE, "Largest request body.").or("10MiB"),
        key("bodies", SIZE, "All request bodies at once, of one tenant at most half of it; beyond it 503. Without it, a sixteenth of the memory that there is (the least of the machine and the control groups of the process), 32MiB to 1GiB.").like("256MiB"),
        key("answers", SIZE, "All whole answers of upstreams at once until they are sent, of one tenant at most half of it, and one no longer than 64MiB; what finds no room within 10s is a 503. Without it, three eighths of the memory that there is, 64MiB to 4GiB.").like("512MiB"),
        key("nesting", scalar(Scalar::Count { min: 1, max: 1_000 }), "Deepest nesting of a JSON body.")
            .or("64"),
        key("tool_arguments", SIZE, "Longest arguments of one tool call.").or("256KiB"),
        key("header", SIZE, "Largest request head.").or("32KiB"),
        key("drain", DURATION, "How long streams may go on after SIGTERM.").or("60s"),
    ],
);

static SHARED: MapShape = MapShape {
    title: "shared state",
    keys: &[
        key("redis", Shape::Secret, "The URL of a Redis server.").required().like("{ env: REDIS_URL }"),
        key("ca", PATH, "Certificate authorities to trust there instead of the usual ones, PEM.")
            .like("internal-ca.pem"),
        key(
            "prefix",
            scalar(Scalar::Id),
            "What all that is kept there begins with: gateways with another do not know of these.",
        )
        .or("tollgate"),
        key(
            "wait",
            DURATION,
            "How long a request waits for it; then this gateway's part of each limit decides.",
        )
        .or("3ms"),
    ],
    rules: &[],
    hush: Hush::Hidden,
};

static TELEMETRY: MapShape = MapShape {
    title: "telemetry",
    keys: &[
        key("otlp", URL, "An OTLP endpoint: its base, to which `/v1/traces` and `/v1/logs` are appended, or the methods of gRPC.")
            .like("http://127.0.0.1:4318"),
        key("protocol", scalar(Scalar::Word(ExportProtocol::WORDS)), "How the endpoint is spoken to.").or("http"),
        key("traces", scalar(Scalar::Bool), "Whether traces are exported there.").or("true"),
        key(
            "sample",
            scalar(Scalar::Percent),
            "The share of requests that are traced. No client can have one traced, or not traced.",
        )
        .or("100%"),
        key(
            "content",
            scalar(Scalar::Word(Content::WORDS)),
            "Whether traces hold prompts, answers and arguments, redacted as the log has them.",
        )
        .or("none"),
        key(
            "logs",
            scalar(Scalar::Bool),
            "Whether the redacted lines of logs and audit chains are exported there.",
        )
        .or("false"),
        key(
            "headers",
            Shape::Names { name: Scalar::HeaderName, each: &SECRETS },
            "Headers that the endpoint asks for, by name.",
        )
        .like("{ authorization: { env: OTLP_AUTHORIZATION } }"),
        key("ca", PATH, "Certificate authorities to trust there besides the usual ones, PEM.")
            .like("internal-ca.pem"),
        key(
            "genai_semconv",
            scalar(Scalar::Word(GenaiNames::WORDS)),
            "Which names the GenAI conventions' signals go by.",
        )
        .or("classic"),
    ],
    rules: &[
        Together::Needs { key: "protocol", other: "otlp" },
        Together::Needs { key: "traces", other: "otlp" },
        Together::Needs { key: "sample", other: "otlp" },
        Together::Needs { key: "content", other: "otlp" },
        Together::Needs { key: "logs", other: "otlp" },
        Together::Needs { key: "headers", other: "otlp" },
        Together::Needs { key: "ca", other: "otlp" },
    ],
    hush: Hush::Shown,
};

static RECORDS: MapShape = map(
    "records",
    &[
        key("retain", DURATION, "How long records are kept.").or("400d"),
        key("on_failure", scalar(Scalar::Word(OnFailure::WORDS)), "What becomes of a request whose record cannot be written.").or("fail"),
        key("secret", Shape::Secret, "What the tenants' secrets are derived from; without it, one is made in data_dir. Gateways that share it make the same tokens.")
            .like("{ file: /run/secrets/tollgate }"),
        key("sign", Shape::Secret, "The private key (Ed25519, PEM) that signs checkpoints of the audit chains; without it, none are signed.")
            .like("{ file: /run/secrets/tollgate-sign.pem }"),
        key("compress", scalar(Scalar::Bool), "Whether the files of days that are over are compressed (gzip).").or("true"),
        CONTENT,
    ],
);
