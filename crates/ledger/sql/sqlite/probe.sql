-- probe: changes nothing, and is refused where nothing can be changed.
delete from review where false
