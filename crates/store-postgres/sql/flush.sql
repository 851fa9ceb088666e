-- flush: puts all that was committed before on disk.
SELECT queue.flush()
