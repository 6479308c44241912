//! A `*.test.yaml` file as it was written: policy tests.

use serde_json::Value as Json;

use super::super::{
    files::{At, Mark},
    read::{Field, Leaf, Read, record, words},
    values::When,
    yaml::Node,
};

record! {
    /// The policy tests of a tenant.
    Tests {
        tenant: At<String> = "tenant",
        cases: Vec<Case> = "cases",
    }
}

words! {
    /// What should be decided.
    Expect {
        Allow = "allow", "The call goes through.";
        Ask = "ask", "The call waits for a person.";
        Deny = "deny", "The call is refused.";
    }
}

words! {
    /// Where a call meets the gateway.
    Place {
        Emitted = "emitted", "By the model, in an answer.";
        Http = "http", "At a tool API behind `/tools/`.";
        Mcp = "mcp", "In `tools/call`.";
        Offered = "offered", "In a request's `tools`.";
    }
}

record! {
    /// A call or a model, of which exactly one is there, and what should be decided.
    Case {
        call: Option<At<String>> = "call",
        model: Option<At<String>> = "model",
        args: Option<At<Json>> = "args",
        place: Option<At<Place>> = "place",
        key: Option<At<String>> = "key",
        now: Option<At<When>> = "now",
        expect: At<Expect> = "expect",
        because: Option<At<String>> = "because",
        becomes: Option<At<Json>> = "becomes",
    }
}
