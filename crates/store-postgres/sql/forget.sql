-- forget: drops the prepared statements of this server process.
DEALLOCATE ALL
