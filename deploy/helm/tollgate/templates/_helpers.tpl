{{- define "tollgate.labels" -}}
app.kubernetes.io/name: tollgate
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tollgate.redis.labels" -}}
app.kubernetes.io/name: redis
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tollgate.hardened" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* A probe's pace: how a container is asked stands before it. */}}
{{- define "tollgate.starting" -}}
periodSeconds: 1
timeoutSeconds: 5
failureThreshold: 60
{{- end }}
{{- define "tollgate.living" -}}
periodSeconds: 10
timeoutSeconds: 5
failureThreshold: 3
{{- end }}
{{- define "tollgate.ready" -}}
periodSeconds: 5
timeoutSeconds: 5
failureThreshold: 2
{{- end }}

{{- define "tollgate.password" -}}
- name: REDIS_PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ .Values.redis.passwordSecret }}, key: password}
{{- end }}
