# docs/approvals.md: a call that waits, under a rule on the ninth line.
tollgate mock >mock.log 2>&1 &
until grep -q listening mock.log; do sleep 0.1; done
tollgate init --upstream http://127.0.0.1:9099/v1
tollgate key new --tenant acme --id prod >key.log
cat >config/tenants/acme.yaml <<TENANT
tenant: acme
keys:
$(grep sha256 key.log)
models: ["*"]
tools:
  # A person decides.

  # Rules follow.
  - ask: [refund, "kb__purge"]
    reason: A person looks at refunds.
    within: 10m
TENANT
tollgate serve >serve.log 2>&1 &
until grep -q 'admin on' serve.log; do sleep 0.1; done
curl -s http://127.0.0.1:8080/v1/chat/completions -H "Authorization: Bearer $(grep -o 'tg-[A-Za-z0-9_-]*' key.log)" --json '{"model":"m","messages":[{"role":"user","content":"!call refund {\"amount\":7,\"to\":\"jane@example.com\"}"}]}' >answer.json &
until tollgate approvals | grep -q refund; do sleep 0.1; done
