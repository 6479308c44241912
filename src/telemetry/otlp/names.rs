//! What spans and their attributes are called. The one place that knows; `docs/traces.md` has the same table, which a test
//! holds against this one. Sources: OpenTelemetry's semantic conventions 1.41 for `classic`; for `latest` those for GenAI
//! in a repository of their own, 1.42.

/// Whose names a signal goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conventions {
    /// Semantic conventions 1.41.
    Classic,
    /// The conventions for GenAI as they are developed.
    Latest,
}

impl Conventions {
    /// Where they are written down.
    pub(super) fn schema_url(self) -> &'static str {
        match self {
            Self::Classic => "https://opentelemetry.io/schemas/1.41.0",
            Self::Latest => "https://opentelemetry.io/schemas/gen-ai/1.42.0",
        }
    }
}

macro_rules! names {
    ($($name:ident = $classic:literal $(, latest $latest:literal)?;)+) => {
        /// An attribute.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Name { $($name),+ }

        impl Name {
            /// All of them, in the table's order.
            #[cfg(test)]
            pub(super) const ALL: &[Self] = &[$(Self::$name),+];

            /// What it is called.
            pub(super) const fn of(self, conventions: Conventions) -> &'static str {
                match (self, conventions) {
                    $($((Self::$name, Conventions::Latest) => $latest,)? (Self::$name, _) => $classic),+
                }
            }
        }
    };
}

names! {
    CacheRead = "gen_ai.usage.cache_read.input_tokens";
    CacheWrite = "gen_ai.usage.cache_creation.input_tokens", latest "gen_ai.usage.cache_write.input_tokens";
    ErrorType = "error.type";
    FinishReasons = "gen_ai.response.finish_reasons";
    FirstChunk = "gen_ai.response.time_to_first_chunk";
    InputMessages = "gen_ai.input.messages";
    InputTokens = "gen_ai.usage.input_tokens";
    McpMethod = "mcp.method.name";
    McpVersion = "mcp.protocol.version";
    Method = "http.request.method";
    Operation = "gen_ai.operation.name";
    OutputMessages = "gen_ai.output.messages";
    OutputTokens = "gen_ai.usage.output_tokens";
    MaxTokens = "gen_ai.request.max_tokens";
    Provider = "gen_ai.provider.name";
    RequestModel = "gen_ai.request.model";
    ResponseModel = "gen_ai.response.model";
    Resends = "http.request.resend_count";
    Route = "http.route";
    RpcStatus = "rpc.response.status_code";
    ServerAddress = "server.address";
    ServerPort = "server.port";
    Status = "http.response.status_code";
    Stream = "gen_ai.request.stream";
    ToolArguments = "gen_ai.tool.call.arguments";
    Tool = "gen_ai.tool.name";
    Transport = "network.transport";
    UrlFull = "url.full";
    UrlPath = "url.path";
    UrlScheme = "url.scheme";
    // What no convention has a name for.
    Config = "tollgate.config";
    Cost = "tollgate.cost_usd";
    Decision = "tollgate.decision";
    Dialect = "tollgate.dialect";
    Key = "tollgate.key";
    Mode = "tollgate.mode";
    Place = "tollgate.place";
    QueueWait = "tollgate.queue_ms";
    Reason = "tollgate.reason";
    RequestId = "tollgate.request_id";
    Rule = "tollgate.rule";
    Tenant = "tollgate.tenant";
    Upstream = "tollgate.upstream";
    UsageEstimated = "tollgate.usage_estimated";
}

/// What a provider is called whose API lives under a host that ends so.
const PROVIDERS: &[(&str, &str)] = &[
    ("anthropic.com", "anthropic"),
    ("openai.azure.com", "azure.ai.openai"),
    ("inference.ai.azure.com", "azure.ai.inference"),
    ("amazonaws.com", "aws.bedrock"),
    ("cohere.com", "cohere"),
    ("deepseek.com", "deepseek"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("groq.com", "groq"),
    ("watsonx.ai", "ibm.watsonx.ai"),
    ("mistral.ai", "mistral_ai"),
    ("moonshot.ai", "moonshot_ai"),
    ("openai.com", "openai"),
    ("perplexity.ai", "perplexity"),
    ("x.ai", "x_ai"),
];

/// The provider behind a host; of one that is not known, the one whose dialect it speaks.
pub(super) fn provider(host: &str, dialect: &str) -> &'static str {
    let is_under =
        |domain: &str| host.strip_suffix(domain).is_some_and(|sub| sub.is_empty() || sub.ends_with('.'));
    let known = PROVIDERS.iter().find(|(domain, _)| is_under(domain)).map(|(_, name)| *name);
    known.unwrap_or_else(|| if dialect.starts_with("anthropic") { "anthropic" } else { "openai" })
}

/// What is done by a call in a dialect; `None` for what has no model.
pub(super) fn operation(dialect: &str) -> Option<&'static str> {
    Some(match dialect {
        "openai.chat" | "openai.responses" | "anthropic.messages" => "chat",
        "openai.completions" => "text_completion",
        "openai.embeddings" => "embeddings",
        "openai.moderations" => "moderation",
        "anthropic.count_tokens" => "count_tokens",
        "tool" => "execute_tool",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_one_attribute_s() {
        for conventions in [Conventions::Classic, Conventions::Latest] {
            let mut names: Vec<&str> = Name::ALL.iter().map(|name| name.of(conventions)).collect();
            names.sort_unstable();
            assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
        }
    }

    #[test]
    fn the_documented_table_is_this_one() {
        let page = include_str!("../../../docs/traces.md");
        let rows: Vec<(&str, &str)> = page
            .lines()
            .filter_map(|line| {
                let mut cells =
                    line.strip_prefix("| `")?.split('|').map(|cell| cell.trim().trim_matches('`'));
                Some((cells.next()?, cells.next()?))
            })
            .filter(|(classic, _)| classic.contains('.'))
            .collect();
        for name in Name::ALL {
            let (classic, latest) = (name.of(Conventions::Classic), name.of(Conventions::Latest));
            let told = if classic == latest { "" } else { latest };
            assert!(rows.contains(&(classic, told)), "docs/traces.md does not list {classic} ({told})");
        }
        assert_eq!(rows.len(), Name::ALL.len(), "docs/traces.md lists what is not sent");
    }

    #[test]
    fn a_provider_is_known_by_its_domain_and_by_no_name_that_ends_like_it() {
        assert_eq!(provider("api.openai.com", "openai.chat"), "openai");
        assert_eq!(provider("acme.openai.azure.com", "openai.chat"), "azure.ai.openai");
        assert_eq!(provider("api.groq.com", "openai.chat"), "groq");
        assert_eq!(provider("netflix.ai", "openai.chat"), "openai");
        assert_eq!(provider("localhost", "anthropic.messages"), "anthropic");
    }
}
