# README.md: a file with a misspelt key on its ninth line.
cp config/tenants/acme.yaml whole.yaml
printf '%s\n' '' '' '' '' '' '' 'tenant: acme' 'abstract: true' 'limits: { request: 600/min }' >config/tenants/acme.yaml
