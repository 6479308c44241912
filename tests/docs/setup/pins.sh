# docs/mcp.md: definitions of an MCP server that nobody approved yet.
tollgate mock >mock.log 2>&1 &
until grep -q listening mock.log; do sleep 0.1; done
tollgate init --upstream http://127.0.0.1:9099/v1
sed -i 's|^upstreams:|upstreams:\n  crm: { kind: mcp, url: "http://127.0.0.1:9099/mcp", pin: enforce }|' config/tollgate.yaml
printf 'tenant: acme\ntools: [{ allow: "crm__*" }]\n' >config/tenants/acme.yaml
tollgate run --tenant acme -- sh -c 'curl -sf ${OPENAI_BASE_URL%/v1}/mcp -H "Authorization: Bearer $OPENAI_API_KEY" -H "MCP-Protocol-Version: 2026-07-28" -H "Mcp-Method: tools/list" --json "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\"io.modelcontextprotocol/clientCapabilities\":{}}}}"'
