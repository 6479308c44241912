# docs/retrieval.md: a real Chroma behind a gateway.
"$CLIENTS/venv-vectors/bin/chroma" run --path chroma --host 127.0.0.1 --port 8000 >chroma.log 2>&1 &
tollgate init --upstream http://127.0.0.1:9099/v1
sed -i 's|^upstreams:|upstreams:\n  docs: { kind: chroma, url: "http://127.0.0.1:8000", tenant_field: tenant_id }|' config/tollgate.yaml
sed -i 's/^tools:/tools:\n  - allow: [docs__query, docs__get]\n#/' config/tenants/acme.yaml
tollgate serve >serve.log 2>&1 &
until grep -q 'admin on' serve.log; do sleep 0.1; done
until curl -sf http://127.0.0.1:8000/api/v2/heartbeat; do sleep 0.1; done
