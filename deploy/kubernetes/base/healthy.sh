# Asks Envoy, inside of the pod, whether it has its configuration.
exec 3<>/dev/tcp/127.0.0.1/8000
printf 'GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n' >&3
read -r _ status _ <&3 && [[ $status == 200 ]]
