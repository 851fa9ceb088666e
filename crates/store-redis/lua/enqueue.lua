-- enqueue: stores jobs; what it is asked for and what it answers stands in `storing`.
return enqueue()
