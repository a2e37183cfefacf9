# What Envoy's container does before it ends: it lets the requests under way end. Kubernetes waits for this, for
# terminationGracePeriodSeconds at most. `bash drain.sh 0` does not wait for the nodes.
ask() {
  exec 3<>/dev/tcp/127.0.0.1/9901
  printf '%s %s HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n' "$1" "$2" >&3
  cat <&3
  exec 3>&-
}

# So long it may take until every node has heard that this pod takes no more requests.
sleep "${1:-5}"
# Clients are told to take their next request elsewhere.
ask POST '/drain_listeners?graceful&skip_exit' >/dev/null
until [[ $(ask GET '/stats?filter=^http.clients.downstream_rq_active$') == *'downstream_rq_active: 0'* ]]; do
  sleep 1
done
