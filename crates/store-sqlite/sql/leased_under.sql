-- leased_under: whether any job is leased under the token ?1.
SELECT EXISTS (
    SELECT 1 FROM queue q CROSS JOIN job j INDEXED BY job_token ON j.state = 1 AND j.queue = q.id AND j.token = ?1
)
