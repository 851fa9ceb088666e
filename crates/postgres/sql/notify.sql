-- notify: says something to whoever listens on a channel.
select pg_notify($1, '')
