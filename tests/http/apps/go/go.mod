module echo

go 1.18
