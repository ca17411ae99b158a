#!/usr/bin/env bash
# Gives the database a random password: writes the Secret `fanout-own`, which every pod prefers to the one of this
# folder, and restarts those that use it. May run before the first deploy and any time after; a run that was cut
# short is mended by the next, as PostgreSQL takes the change from inside its own pod without a password.
# With VIEWER_TOKEN=…, the viewer asks its visitors for that from now on.
set -euo pipefail
kubectl=${KUBECTL:-kubectl}
password=$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n') # hexadecimal: it stands in a URL

if [ -n "${VIEWER_TOKEN:-}" ]; then
  token=$(printf %s "$VIEWER_TOKEN" | base64 | tr -d '\n')
else # the one that there is, if any
  token=$($kubectl get secret fanout-own --ignore-not-found --output jsonpath='{.data.VIEWER_TOKEN}')
fi
viewer_token=${token:+VIEWER_TOKEN: $token}

# A volume that was filled before keeps its password: change it there.
if [ -n "$($kubectl get statefulset postgres --ignore-not-found --output name)" ]; then
  $kubectl rollout status statefulset/postgres --timeout 2m
  # By standard input, so that no list of processes shows it.
  $kubectl exec --stdin statefulset/postgres -- psql --quiet --username fanout --dbname fanout <<<"ALTER ROLE fanout PASSWORD '$password'"
fi

$kubectl apply -f - <<SECRET
apiVersion: v1
kind: Secret
metadata:
  name: fanout-own
  labels:
    app.kubernetes.io/name: fanout
    app.kubernetes.io/part-of: fanout
data: {$viewer_token}
stringData:
  POSTGRES_PASSWORD: $password
  DATABASE_URL: postgresql://fanout:$password@postgres:5432/fanout
SECRET

users=$($kubectl get deployment consumer viewer --ignore-not-found --output name)
[ -z "$users" ] || $kubectl rollout restart $users
