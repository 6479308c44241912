# docs/tools.md: three calls on record, one of which a shadow rule would have denied.
tollgate mock >mock.log 2>&1 &
mock=$!
until grep -q listening mock.log; do sleep 0.1; done
cat >calls.sh <<'CALLS'
for tool in get_invoice get_secret_name delete_user; do
  curl -sf $OPENAI_BASE_URL/chat/completions -H "Authorization: Bearer $OPENAI_API_KEY" --json "{\"model\":\"gpt-5\",\"messages\":[{\"role\":\"user\",\"content\":\"!call $tool {}\"}]}" || exit
done
CALLS
tollgate run --tenant acme -- sh calls.sh
kill $mock
