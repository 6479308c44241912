# docs/limits.md: a call that is in the ledger.
tollgate mock >mock.log 2>&1 &
until grep -q listening mock.log; do sleep 0.1; done
tollgate init --upstream http://127.0.0.1:9099/v1
cat >call.sh <<'CALL'
curl -sf $OPENAI_BASE_URL/chat/completions -H "Authorization: Bearer $OPENAI_API_KEY" --json '{"model":"gpt-5","messages":[{"role":"user","content":"!call delete_user"}]}'
curl -sf "$OPENAI_BASE_URL/usage?since=1d" -H "Authorization: Bearer $OPENAI_API_KEY"
CALL
tollgate run --tenant acme -- sh call.sh
