# docs/records.md: a chain with signed checkpoints.
openssl genpkey -algorithm ed25519 -out sign.pem && chmod 600 sign.pem && openssl pkey -in sign.pem -pubout -out public.pem
tollgate mock >mock.log 2>&1 &
until grep -q listening mock.log; do sleep 0.1; done
tollgate init --upstream http://127.0.0.1:9099/v1
echo 'records: { sign: { file: ../sign.pem } }' >>config/tollgate.yaml
tollgate run --tenant acme -- sh -c 'curl -sf $OPENAI_BASE_URL/chat/completions -H "Authorization: Bearer $OPENAI_API_KEY" --json "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"!call delete_user\"}]}"'
