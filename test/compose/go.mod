module tollgate/test/compose

go 1.26.0
