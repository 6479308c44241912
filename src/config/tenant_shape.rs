//! What a tenant's file may hold, key by key: the one description that validation, schema and messages share.

use super::{
    gateway_shape::AUTH,
    raw::{Content, Mode, OnDeny, Priority, Wire},
    scalar::Scalar,
    shape::{Hush, Key, MapShape, Shape, Together, key, map, scalar},
};

const GLOB: Shape = scalar(Scalar::Glob);
const RATE: Shape = scalar(Scalar::Rate);
const TOKENS: Shape = scalar(Scalar::Count { min: 1, max: 10_000_000 });
const CONCURRENCY: Shape = scalar(Scalar::Count { min: 1, max: 1_000_000 });

static GLOBS: Shape = GLOB;
const GLOB_LIST: Shape = Shape::List(&GLOBS);
const GLOB_OR_LIST: Shape = Shape::Either(&[GLOB, Shape::List(&GLOBS)]);

const NAME: Key = key("tenant", scalar(Scalar::TenantName), "The tenant's name; equals the file's name.")
    .required()
    .like("acme");
const ABSTRACT: Key =
    key("abstract", scalar(Scalar::Bool), "Only there to be extended by others; has no keys of its own.")
        .or("false");
const KEYS: Key = key("keys", Shape::List(&KEY_LIST), "The tenant's credentials.").or("[]");
const CREDENTIALS: Key = key(
    "credentials",
    Shape::Names { name: Scalar::UpstreamName, each: &AUTHS },
    "What the gateway shows to upstreams in this tenant's requests, by their names, instead of their `auth`.",
)
.like("{ crm: { bearer: { env: ACME_CRM_TOKEN } } }");
const WEIGHT: Key = key(
    "weight",
    scalar(Scalar::Count { min: 1, max: 1_000 }),
    "Share of a contended upstream, beside the others' weights.",
)
.or("1");
const LABELS: Key =
    key("labels", Shape::Names { name: Scalar::Id, each: &LABEL }, "What conditions may ask of the tenant.")
        .like("{ plan: pro }");
const EXTENDS: Key = key(
    "extends",
    scalar(Scalar::TenantName),
    "Another tenant file with `abstract: true`; this one can only narrow it. Rules of both count, and what is allowed \
     must be allowed by both (by the other alone where this one allows nothing of its own); models are those of both; \
     limits and budget are the narrower; redaction and records the stricter; labels of the other stay.",
)
.like("saas-basic");
const MODELS: Key = key("models", GLOB_LIST, "The models that the tenant may use, by name or glob.")
    .or("[]")
    .like("[\"gpt-*\", claude-opus]");
const TOOLS: Key = key(
    "tools",
    Shape::List(&RULES),
    "Rules over tool calls, in any order: a matching deny wins, then ask, then allow; nothing matching is deny.",
)
.or("[]");
const ON_DENY: Key = key(
    "on_deny",
    scalar(Scalar::Word(OnDeny::WORDS)),
    "What becomes of an answer that holds a denied call.",
)
.or("notice");
const CACHE: Key = key(
    "cache",
    scalar(Scalar::Duration),
    "How long a model's answer is kept for this tenant: who asks exactly the same again is answered without the provider, at no cost. Nothing is kept without it.",
)
.like("5m");
const LIMITS: Key = key("limits", Shape::Map(&TENANT_LIMITS), "How much the tenant may do.");
const MODEL_LIMITS: Key = key(
    "model_limits",
    Shape::Names { name: Scalar::Glob, each: &QUOTAS },
    "How much the tenant may do with single models.",
);
const BUDGET: Key = key("budget", scalar(Scalar::Budget), "What the tenant may spend.").like("50 USD/day");
const WARN: Key = key(
    "warn",
    scalar(Scalar::Percent),
    "From which share of the budget on it is told: in a header, a metric and, once, to the webhook.",
)
.like("80%");
const REDACT: Key = key("redact", Shape::Map(&REDACTION), "What is redacted, and from what.");
const TENANT_RECORDS: Key = key("records", Shape::Map(&RECORDS), "What the tenant's records hold.");
const APPROVALS: Key =
    key("approvals", Shape::Map(&APPROVAL), "Who is told of calls that wait for a person.");
/// What records hold, of the gateway and of a tenant.
pub(crate) const CONTENT: Key = key(
    "content",
    scalar(Scalar::Word(Content::WORDS)),
    "What records hold of prompts and answers. There is no setting that writes raw content.",
)
.or("redacted");

pub(crate) static TENANT: MapShape = map(
    "tenant file",
    &[
        NAME,
        ABSTRACT,
        WEIGHT,
        LABELS,
        EXTENDS,
        KEYS,
        CREDENTIALS,
        MODELS,
        TOOLS,
        ON_DENY,
        CACHE,
        LIMITS,
        MODEL_LIMITS,
        BUDGET,
        WARN,
        REDACT,
        TENANT_RECORDS,
        APPROVALS,
    ],
);

pub(crate) static INLINE_TENANT: MapShape = map(
    "tenant",
    &[
        ABSTRACT,
        WEIGHT,
        LABELS,
        EXTENDS,
        KEYS,
        CREDENTIALS,
        MODELS,
        TOOLS,
        ON_DENY,
        CACHE,
        LIMITS,
        MODEL_LIMITS,
        BUDGET,
        WARN,
        REDACT,
        TENANT_RECORDS,
        APPROVALS,
    ],
);

pub(crate) static DEFAULTS: MapShape = map(
    "defaults",
    &[
        WEIGHT,
        LABELS,
        EXTENDS,
        MODELS,
        TOOLS,
        ON_DENY,
        CACHE,
        LIMITS,
        MODEL_LIMITS,
        BUDGET,
        WARN,
        REDACT,
        TENANT_RECORDS,
        APPROVALS,
    ],
);

static AUTHS: Shape = Shape::Map(&AUTH);
static LABEL: Shape = scalar(Scalar::Label);
static KEY_LIST: Shape = Shape::Map(&KEY);
static RULES: Shape = Shape::Map(&RULE);
static QUOTAS: Shape = Shape::Map(&QUOTA);
static MATCHERS: Shape = Shape::Map(&MATCHER);
static ANY: Shape = Shape::Any;
static ENTITIES: Shape = scalar(Scalar::Entity);
static REGEXES: Shape = scalar(Scalar::Regex);

static KEY: MapShape = map(
    "key",
    &[
        key("id", scalar(Scalar::Id), "The key's public name, in records and usage.").required().like("prod"),
        key(
            "sha256",
            scalar(Scalar::Sha256),
            "SHA-256 of the whole key, hex, as `tollgate key new` prints it.",
        )
        .required(),
        key(
            "expires",
            scalar(Scalar::When),
            "The last day on which it works (UTC), or the moment when it ceases to.",
        )
        .like("2027-06-30"),
        key("priority", scalar(Scalar::Word(Priority::WORDS)), "Which of the tenant's requests wait first.")
            .or("normal"),
        key("models", GLOB_LIST, "Narrows the tenant's models; [] is none.").like("[\"text-embedding-*\"]"),
        key("tools", GLOB_LIST, "Narrows the tenant's tools; [] is none.").like("[]"),
        key("limits", Shape::Map(&QUOTA), "How much may be done with this key, within the tenant's limits."),
    ],
);

static RULE: MapShape = MapShape {
    title: "rule",
    keys: &[
        key("allow", GLOB_OR_LIST, "Tools that may be called, by name or glob.")
            .like("[\"get_*\", \"crm__*\"]"),
        key("ask", GLOB_OR_LIST, "Tools whose call waits until a person approves it.")
            .like("billing__refund"),
        key("deny", GLOB_OR_LIST, "Tools that may not be called.").like("\"*__delete_*\""),
        key("when", scalar(Scalar::Cel), "A condition in CEL over tenant, key, tool, args, place and now.")
            .like("args.to.all(a, a.endsWith(\"@acme.example\"))"),
        key(
            "args",
            Shape::Names { name: Scalar::Text, each: &MATCHERS },
            "What arguments must be, by name or dotted path.",
        )
        .like("{ amount: { max: 100 } }"),
        key("limit", RATE, "How often the tool may be called.").like("20/hour"),
        key(
            "set",
            Shape::Names { name: Scalar::Text, each: &ANY },
            "Arguments that are forced, by name or dotted path, whatever the caller sent.",
        )
        .like("{ filter.tenant: acme }"),
        key("reason", scalar(Scalar::Text), "Told to the agent.").like("Deletions go through support."),
        key("mode", scalar(Scalar::Word(Mode::WORDS)), "Whether the rule counts.").or("enforce"),
        key("within", scalar(Scalar::Duration), "How long a call that asks may wait.").or("10m"),
    ],
    rules: &[
        Together::ExactlyOne(&["allow", "ask", "deny"]),
        Together::Needs { key: "within", other: "ask" },
        Together::NotWith { key: "limit", other: "deny" },
        Together::NotWith { key: "set", other: "deny" },
        Together::NotWith { key: "set", other: "ask" },
    ],
    hush: Hush::Shown,
};

static MATCHER: MapShape = map(
    "matcher",
    &[
        key("is", Shape::Any, "The argument is this."),
        key("in", Shape::List(&ANY), "The argument is one of these.").like("[EUR, CHF]"),
        key("like", scalar(Scalar::Text), "The argument matches this glob.").like("\"DE*\""),
        key("regex", scalar(Scalar::Regex), "The argument matches this regular expression, as a whole."),
        key("min", scalar(Scalar::Number), "The argument is a number, and at least this."),
        key("max", scalar(Scalar::Number), "The argument is a number, and at most this.").like("100"),
        key("absent", scalar(Scalar::Bool), "true: the argument is not there; false: it is."),
    ],
);

static TENANT_LIMITS: MapShape = map(
    "limits",
    &[
        key("requests", RATE, "Requests; without it, no limit.").like("600/min burst 50"),
        key("tokens", RATE, "Tokens, input and output together; without it, no limit.").like("200000/min"),
        key("concurrency", CONCURRENCY, "Requests at a time, over it 429 at once; without it, no limit.")
            .like("32"),
        key(
            "output_estimate",
            TOKENS,
            "Tokens reserved for an answer when the request does not say how long it may be.",
        )
        .or("1000"),
    ],
);

static QUOTA: MapShape = map(
    "limits of a model or key",
    &[
        key("requests", RATE, "Requests; without it, no limit of its own.").like("60/min"),
        key("tokens", RATE, "Tokens, input and output together; without it, no limit of its own.")
            .like("50000/min"),
        key("concurrency", CONCURRENCY, "Requests at a time; without it, no limit of its own.").like("4"),
    ],
);

static REDACTION: MapShape = map(
    "redact",
    &[
        key(
            "detectors",
            Shape::Either(&[scalar(Scalar::Word(&[("all", "Every detector.")])), Shape::List(&ENTITIES)]),
            "`all`, or a list of entities; credentials are always detected.",
        )
        .or("all"),
        key(
            "patterns",
            Shape::Names { name: Scalar::Entity, each: &REGEXES },
            "Entities of your own: a regular expression by name.",
        )
        .like("{ CASE_ID: \"AC-[0-9]{6}\" }"),
        key(
            "allow",
            Shape::List(&VALUES),
            "Values that are never taken out: whole ones, or addresses with a `*`; never credentials.",
        )
        .or("[]")
        .like("[support@acme.com, \"+43 1 58858\"]"),
        key(
            "epoch",
            scalar(Scalar::Id),
            "Tokens of one epoch cannot be linked with those of another; without it, all are of one.",
        )
        .like("2026-Q4"),
        key("analyzer", Shape::Map(&ANALYZER), "Who finds names and streets in what is recorded."),
        key("wire", scalar(Scalar::Word(Wire::WORDS)), "What the provider gets to see of a detected value.")
            .or("off"),
    ],
);

static VALUES: Shape = scalar(Scalar::Text);

static ANALYZER: MapShape = map(
    "analyzer",
    &[
        key("url", scalar(Scalar::Url), "A Presidio analyzer's address; `/analyze` is added.")
            .required()
            .like("http://presidio:3000"),
        key(
            "ca",
            scalar(Scalar::Path),
            "Certificate authorities to trust there besides the usual ones, PEM.",
        )
        .like("internal-ca.pem"),
        key(
            "timeout",
            scalar(Scalar::Duration),
            "So long a text may take; longer, it is left out of its record.",
        )
        .or("2s"),
        key("language", scalar(Scalar::Id), "The language that it is asked for.").or("en"),
        key("entities", Shape::List(&ENTITIES), "What it looks for.").or("[PERSON, LOCATION]"),
        key("threshold", scalar(Scalar::Percent), "How sure it has to be.").or("40%"),
    ],
);

static RECORDS: MapShape = map("records", &[CONTENT]);

static APPROVAL: MapShape = MapShape {
    title: "approvals",
    keys: &[key(
        "webhook",
        Shape::Secret,
        "An URL that is told of each waiting call; a secret where it holds a token.",
    )
    .like("{ env: APPROVALS_WEBHOOK }")],
    rules: &[],
    hush: Hush::Hidden,
};
