# README.md: this repository's own configuration and the same as that of a main branch; calls on record; a gateway that runs.
rm -r config && cp -r "$REPOSITORY/config" . && mkdir ../main
sed -i 's|https://api.openai.com/v1|http://127.0.0.1:9099/v1|' config/tollgate.yaml
cp -r config ../main/
tollgate mock >mock.log 2>&1 &
until grep -q listening mock.log; do sleep 0.1; done
tollgate run --tenant acme -- sh -c 'curl -sf $OPENAI_BASE_URL/chat/completions -H "Authorization: Bearer $OPENAI_API_KEY" --json "{\"model\":\"gpt-5\",\"messages\":[{\"role\":\"user\",\"content\":\"!call delete_user\"}]}"'
tollgate serve >serve.log 2>&1 &
serve=$!
until grep -q 'admin on' serve.log; do sleep 0.1; done
