{{/* It starts first and ends last, so that Envoy always has somebody to ask. */}}
{{- define "tollgate.container" -}}
{{- $asked := "exec: {command: [tollgate, health]}" -}}
- name: tollgate
  image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
  restartPolicy: Always
  args: [serve, --listen, "unix:///run/tollgate/tollgate.sock", --max-heap, "805306368"] # as in envoy.yaml
  workingDir: /etc/tollgate
  env:
    {{- if .Values.redis.enabled }}
    {{- include "tollgate.password" . | nindent 4 }}
    {{- end }}
    - {name: GOMEMLIMIT, value: {{ .Values.goMemoryLimit }}}
    {{- with .Values.env }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- if not .Values.sidecar.enabled }}
  ports:
    - {name: admin, containerPort: 8001}
  {{- end }}
  startupProbe:
    {{ $asked }}
    {{- include "tollgate.starting" . | nindent 4 }}
  livenessProbe:
    {{ $asked }}
    {{- include "tollgate.living" . | nindent 4 }}
  readinessProbe:
    {{ $asked }}
    {{- include "tollgate.ready" . | nindent 4 }}
  resources: {{- toYaml .Values.resources | nindent 4 }}
  securityContext: {{- include "tollgate.hardened" . | nindent 4 }}
  volumeMounts:
    - {name: config, mountPath: /etc/tollgate, readOnly: true}
    - {name: keys, mountPath: /run/secrets/tollgate, readOnly: true}
    - {name: socket, mountPath: /run/tollgate}
    - {name: data, mountPath: /var/lib/tollgate}
{{- end }}

{{/* A sidecar's port answers inside of the pod only, so what asks it runs there. */}}
{{- define "tollgate.envoy" -}}
{{- $asked := "httpGet: {path: /healthz, port: http}" -}}
{{- if .Values.sidecar.enabled }}{{ $asked = "exec: {command: [bash, /etc/envoy/healthy.sh]}" }}{{ end -}}
- name: envoy
  image: {{ .Values.envoy.image }}
  {{- if .Values.sidecar.enabled }}
  restartPolicy: Always
  {{- end }}
  command: [envoy]
  args:
    - --config-path
    - /etc/envoy/envoy.yaml
    - --concurrency
    - {{ .Values.envoy.concurrency | quote }}
    - --disable-hot-restart
    # When the listener is edited, streams that are under way may go on for a day.
    - --drain-strategy
    - immediate
    - --drain-time-s
    - "86400"
    - --log-level
    - warning
    # These loggers would print Authorization headers if someone turned the level up.
    - --component-log-level
    - http:warning,http2:warning,ext_proc:warning,router:warning,filter:warning,connection:warning
  {{- if not .Values.sidecar.enabled }}
  ports:
    - {name: http, containerPort: 8000}
  lifecycle:
    preStop:
      exec: {command: [bash, /etc/envoy/drain.sh]}
  {{- end }}
  startupProbe:
    {{ $asked }}
    {{- include "tollgate.starting" . | nindent 4 }}
  livenessProbe:
    {{ $asked }}
    {{- include "tollgate.living" . | nindent 4 }}
  readinessProbe:
    {{ $asked }}
    {{- include "tollgate.ready" . | nindent 4 }}
  resources: {{- toYaml .Values.envoy.resources | nindent 4 }}
  securityContext: {{- include "tollgate.hardened" . | nindent 4 }}
  volumeMounts:
    - {name: envoy, mountPath: /etc/envoy, readOnly: true}
    - {name: socket, mountPath: /run/tollgate}
{{- end }}
