-- take_unit: takes a unit of the user's day unless all are taken; the server's clock says which day it is.
select taken, resets_in_ms from ledger.take_unit($1, $2, $3, $4)
