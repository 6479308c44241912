# docs/operations.md: a second key, and a call with it on record.
tollgate key new --tenant acme --id spare >spare.log
sed -i "/^keys:/a \\$(grep sha256 spare.log)" config/tenants/acme.yaml
curl -s -X POST http://127.0.0.1:8081/admin/reload
curl -sf http://127.0.0.1:8080/v1/chat/completions -H "Authorization: Bearer $(grep -o 'tg-[A-Za-z0-9_-]*' spare.log)" --json '{"model":"x","messages":[{"role":"user","content":"!call get_weather"}]}'
until tollgate audit show 2>&1 | grep -q get_weather; do sleep 0.1; done
