# docs/metrics.md: a gateway that runs, and this repository's rules for Prometheus.
tollgate init trial --upstream http://127.0.0.1:9099/v1
cp -r "$REPOSITORY/config" .
tollgate serve --config trial >serve.log 2>&1 &
until grep -q 'admin on' serve.log; do sleep 0.1; done
