#!/bin/sh
# checkdeploy.sh: has the files of deploy/ checked by the programs that they are
# for. COMPOSE and KUBECTL name the modules that check Compose files and manifests.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
step() { printf '\n==> %s\n' "$1"; }

step 'nginx'
openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=kefu.example.com -keyout "$work/privkey.pem" -out "$work/fullchain.pem" 2>/dev/null
sed "s|/etc/nginx/tls|$work|; s|/var/log/nginx|$work|" deploy/nginx.conf >"$work/kefud.conf"
echo "pid $work/pid; error_log stderr; events {} http { access_log off; include $work/kefud.conf; }" >"$work/nginx.conf"
nginx -t -c "$work/nginx.conf"

step 'Caddy'
caddy validate --adapter caddyfile --config deploy/Caddyfile 2>"$work/caddy" || { cat "$work/caddy" >&2 && exit 1; }
caddy fmt deploy/Caddyfile | cmp - deploy/Caddyfile

step 'Prometheus'
promtool check rules deploy/prometheus/alerts.yaml
promtool test rules deploy/prometheus/alerts_test.yaml

if command -v systemd-analyze >/dev/null; then
	step 'systemd'
	# The program is not installed here.
	sed 's|^ExecStart=[^ ]*|ExecStart=/bin/true|' deploy/kefud.service >"$work/kefud.service"
	systemd-analyze verify "$work/kefud.service"
fi

step 'Docker Compose'
go run "$COMPOSE" -no-interpolation deploy/compose.yaml >/dev/null

step 'Kubernetes (the first time its checker is built: some minutes)'
go run "$KUBECTL" --version 1.30 deploy/kubernetes
