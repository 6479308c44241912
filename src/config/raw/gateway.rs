//! `tollgate.yaml` as it was written: what the platform team decides.

use std::{path::PathBuf, time::Duration};

use serde_json::Value as Json;

use super::{
    super::{
        files::{At, Mark},
        read::{Entries, Field, Leaf, Many, Read, part, record, words},
        secret::SecretRef,
        values::{MicroUsd, Percent, Size},
        yaml::{Node, Value},
    },
    tenant::{Content, Settings, Tenant},
};

record! {
    /// The whole of `tollgate.yaml`.
    Gateway {
        listen: Option<Many<Listener>> = "listen",
        admin: Option<At<String>> = "admin",
        admin_token: Option<At<SecretRef>> = "admin_token",
        probes: Option<At<String>> = "probes",
        data_dir: Option<At<PathBuf>> = "data_dir",
        tenants: Option<Tenants> = "tenants",
        upstreams: Entries<Upstream> = "upstreams",
        models: Entries<Model> = "models",
        identity: Option<Identity> = "identity",
        limits: Option<Limits> = "limits",
        shared_state: Option<SharedState> = "shared_state",
        allowed_hosts: Vec<At<String>> = "allowed_hosts",
        /// Where clients find the gateway.
        public_url: Option<At<String>> = "public_url",
        telemetry: Option<Exporter> = "telemetry",
        records: Option<Records> = "records",
        defaults: Option<Settings> = "defaults",
    }
}

/// An address that agents connect to.
#[derive(Debug, Clone)]
pub struct Listener {
    pub address: At<String>,
    pub tls: Option<Tls>,
}

part! {
    /// The keys of a listener that is a map.
    ListenerKeys {
        address: At<String> = "address",
        tls: Option<Tls> = "tls",
    }
}

impl Read for Listener {
    fn read(node: &Node<'_>) -> Option<Self> {
        match &node.value {
            Value::Scalar(_) => Some(Self { address: <At<String>>::read(node)?, tls: None }),
            Value::Broken | Value::List(_) | Value::Map(_) => {
                ListenerKeys::read(node).map(|keys| Self { address: keys.address, tls: keys.tls })
            }
        }
    }
}

record! {
    /// The certificate of a listener, and who signs its clients'.
    Tls {
        cert: At<PathBuf> = "cert",
        key: At<PathBuf> = "key",
        client_ca: Option<At<PathBuf>> = "client_ca",
    }
}

/// Where the tenants are.
#[derive(Debug, Clone)]
pub enum Tenants {
    /// In the files of these directories.
    Dirs(Vec<At<PathBuf>>),
    /// In `tollgate.yaml` itself.
    Inline(Vec<Tenant>),
}

impl Read for Tenants {
    fn read(node: &Node<'_>) -> Option<Self> {
        match &node.value {
            Value::Broken => None,
            Value::List(_) | Value::Scalar(_) => {
                <Many<At<PathBuf>>>::read(node).map(|many| Self::Dirs(many.0))
            }
            Value::Map(entries) => {
                let tenant = |(name, body): &(Node<'_>, Node<'_>)| Tenant::inline(name, body);
                Some(Self::Inline(entries.iter().filter_map(tenant).collect()))
            }
        }
    }
}

words! {
    /// What an upstream speaks.
    UpstreamKind or Openai {
        Anthropic = "anthropic", "The Anthropic API.";
        Chroma = "chroma", "A Chroma vector store.";
        Http = "http", "A plain HTTP tool API.";
        Mcp = "mcp", "An MCP server, over Streamable HTTP or, with `command`, over stdio.";
        Openai = "openai", "Any API that is compatible with OpenAI's.";
        Opensearch = "opensearch", "An OpenSearch or Elasticsearch index with vectors.";
        Pinecone = "pinecone", "A Pinecone index.";
        Qdrant = "qdrant", "A Qdrant vector store.";
        Weaviate = "weaviate", "A Weaviate vector store.";
    }
}

words! {
    /// What becomes of the definitions of an MCP server's tools.
    Pin {
        Enforce = "enforce", "A tool that is new, or changed since it was approved, is refused.";
        Off = "off", "Definitions are not watched.";
        Record = "record", "What is first seen is approved; changes are reported.";
    }
}

words! {
    /// How a vector store keeps tenants apart.
    Scope {
        Collection = "collection", "Each tenant has collections of its own; with `tenant_field`, their records name it too.";
        Field = "field", "Tenants share collections; each record names its tenant in `tenant_field`.";
    }
}

record! {
    /// A server that the gateway forwards to.
    Upstream {
        kind: At<UpstreamKind> = "kind",
        url: Option<At<String>> = "url",
        urls: Vec<At<String>> = "urls",
        /// Program and arguments of an MCP server over stdio.
        command: Vec<At<String>> = "command",
        /// What the program finds in its environment.
        env: Entries<At<SecretRef>> = "env",
        /// Several are a pool of keys.
        auth: Option<Many<Auth>> = "auth",
        /// A file of certificate authorities beside the usual ones.
        ca: Option<At<PathBuf>> = "ca",
        deny_private: Option<At<bool>> = "deny_private",
        max_in_flight: Option<At<u64>> = "max_in_flight",
        queue: Option<Queue> = "queue",
        timeout: Option<Timeout> = "timeout",
        retry: Option<Retry> = "retry",
        pin: Option<At<Pin>> = "pin",
        tenant_field: Option<At<String>> = "tenant_field",
        scope: Option<At<Scope>> = "scope",
        collections: Option<At<String>> = "collections",
        operations: Entries<At<String>> = "operations",
    }
}

/// The gateway's own credential at an upstream.
#[derive(Debug, Clone)]
pub enum Auth {
    /// `Authorization: Bearer …`.
    Bearer(At<SecretRef>),
    Header(Header),
}

part! {
    /// The keys of `auth`.
    AuthKeys {
        bearer: Option<At<SecretRef>> = "bearer",
        header: Option<Header> = "header",
    }
}

impl Read for Auth {
    fn read(node: &Node<'_>) -> Option<Self> {
        let keys = AuthKeys::read(node)?;
        keys.bearer.map(Self::Bearer).or_else(|| keys.header.map(Self::Header))
    }
}

record! {
    /// A credential in a header of its own.
    Header {
        name: At<String> = "name",
        value: At<SecretRef> = "value",
    }
}

record! {
    /// The fair queue before an upstream.
    Queue {
        per_tenant: Option<At<u64>> = "per_tenant",
        wait: Option<At<Duration>> = "wait",
    }
}

record! {
    /// How long an upstream may take.
    Timeout {
        connect: Option<At<Duration>> = "connect",
        first_byte: Option<At<Duration>> = "first_byte",
        idle: Option<At<Duration>> = "idle",
        total: Option<At<Duration>> = "total",
    }
}

record! {
    /// How often a failed request is tried again.
    Retry {
        attempts: Option<At<u64>> = "attempts",
    }
}

record! {
    /// A model, or a pattern of them, that clients may ask for.
    Model {
        /// Tried in order.
        upstream: Many<At<String>> = "upstream",
        /// What the upstream calls it.
        upstream_name: Option<At<String>> = "as",
        price: Option<Price> = "price",
    }
}

record! {
    /// US dollars for a million tokens.
    Price {
        input: Option<At<MicroUsd>> = "input",
        cached_input: Option<At<MicroUsd>> = "cached_input",
        cache_write: Option<At<MicroUsd>> = "cache_write",
        output: Option<At<MicroUsd>> = "output",
    }
}

record! {
    /// How callers are known besides keys.
    Identity {
        jwt: Vec<Jwt> = "jwt",
        mtls: Option<Mtls> = "mtls",
        /// The tenant that everybody who reaches the port is.
        fixed: Option<At<String>> = "fixed",
    }
}

record! {
    /// An issuer of tokens.
    Jwt {
        issuer: At<String> = "issuer",
        /// What callers' ids begin with.
        id: Option<At<String>> = "id",
        audience: Many<At<String>> = "audience",
        jwks: Jwks = "jwks",
        /// The claim that names the tenant, with `claims.` in front.
        tenant: At<String> = "tenant",
    }
}

/// Where an issuer's public keys are.
#[derive(Debug, Clone)]
pub enum Jwks {
    File(At<PathBuf>),
    /// And a file of certificate authorities beside the usual ones.
    Url(At<String>, Option<At<PathBuf>>),
}

part! {
    /// The keys of `jwks`.
    JwksKeys {
        file: Option<At<PathBuf>> = "file",
        url: Option<At<String>> = "url",
        ca: Option<At<PathBuf>> = "ca",
    }
}

impl Field for Jwks {
    fn field(node: Option<&Node<'_>>) -> Option<Self> {
        let keys = JwksKeys::read(node?)?;
        keys.file.map(Self::File).or_else(|| keys.url.map(|url| Self::Url(url, keys.ca)))
    }
}

record! {
    /// How a client certificate names its tenant.
    Mtls {
        tenant: At<String> = "tenant",
    }
}

record! {
    /// What any request may be, and how long a shutdown may take.
    Limits {
        body: Option<At<Size>> = "body",
        bodies: Option<At<Size>> = "bodies",
        answers: Option<At<Size>> = "answers",
        nesting: Option<At<u64>> = "nesting",
        tool_arguments: Option<At<Size>> = "tool_arguments",
        header: Option<At<Size>> = "header",
        drain: Option<At<Duration>> = "drain",
    }
}

record! {
    /// Where several gateways share limits and spend.
    SharedState {
        redis: At<SecretRef> = "redis",
        ca: Option<At<PathBuf>> = "ca",
        prefix: Option<At<String>> = "prefix",
        wait: Option<At<Duration>> = "wait",
    }
}

words! {
    /// Which names the GenAI conventions' signals go by.
    GenaiNames {
        Classic = "classic", "The names of semantic conventions 1.41, which dashboards know.";
        Latest = "latest", "The names under development.";
    }
}

words! {
    /// How an OTLP endpoint is spoken to.
    ExportProtocol {
        Grpc = "grpc", "gRPC, over HTTP/2.";
        Http = "http", "HTTP with protobuf.";
    }
}

record! {
    /// Where traces and logs are pushed.
    Exporter {
        otlp: Option<At<String>> = "otlp",
        protocol: Option<At<ExportProtocol>> = "protocol",
        traces: Option<At<bool>> = "traces",
        sample: Option<At<Percent>> = "sample",
        content: Option<At<Content>> = "content",
        logs: Option<At<bool>> = "logs",
        headers: Entries<At<SecretRef>> = "headers",
        ca: Option<At<PathBuf>> = "ca",
        genai_semconv: Option<At<GenaiNames>> = "genai_semconv",
    }
}

words! {
    /// What becomes of a request whose record cannot be written.
    OnFailure {
        Drop = "drop", "The record is dropped and counted.";
        Fail = "fail", "The request is refused with 503.";
    }
}

record! {
    /// How records are kept.
    Records {
        retain: Option<At<Duration>> = "retain",
        on_failure: Option<At<OnFailure>> = "on_failure",
        secret: Option<At<SecretRef>> = "secret",
        sign: Option<At<SecretRef>> = "sign",
        compress: Option<At<bool>> = "compress",
        content: Option<At<Content>> = "content",
    }
}

/// The JSON values that a rule compares with or sets.
pub(super) type JsonAt = At<Json>;
