# README.md: something on record.
curl -s http://127.0.0.1:8080/v1/chat/completions -H "Authorization: Bearer tg-…" --json '{"model":"gpt-5","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"delete_user"}}]}'
until tollgate audit show data 2>&1 | grep -q delete_user; do sleep 0.1; done
