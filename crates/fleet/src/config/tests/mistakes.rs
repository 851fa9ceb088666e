/// Mistakes in a file, each with its whole message.
pub const MISTAKES: &[(&str, &str)] = &[
    (
        "[api]\ndefault_tier = \"GOLD\"",
        r#"workers.toml:2: api.default_tier = "GOLD": there is no tier GOLD: defined are ENTERPRISE, FREE, PRO, TEAM"#,
    ),
    (
        "[api]\nin_flight_max = 0",
        "workers.toml:2: api.in_flight_max = 0: invalid value: integer `0`, expected a whole number from 1 to 100000",
    ),
    ("[api\nlisten = 1", "workers.toml:1: no TOML: unclosed table, expected `]`"),
    ("[worker]\nconcurrency = 4\nconcurrency = 5", "workers.toml:3: no TOML: duplicate key"),
    ("[worker]\nlease_secs = 30s", "workers.toml:2: no TOML: string values must be quoted, expected literal string"),
    (
        "[wroker]\nconcurrency = 4",
        "workers.toml:1: wroker: unknown field `wroker`, expected one of `api`, `limits`, `store`, `queues`, `groups`, `cron`, `worker`, `retry`, `tiers`, `forge`, `review`, `models`, `routing`, `telemetry`",
    ),
    (
        "[worker]\nconcurency = 4",
        "workers.toml:2: worker.concurency: unknown field `concurency`, expected one of `concurrency`, `lease_secs`, `poll_interval_ms`, `drain_grace_secs`, `weights`, `metrics_listen`",
    ),
    (
        "[api]\napi_key = \"sk-this-is-a-secret\"",
        "workers.toml:2: api.api_key: unknown field `api_key`, expected one of `listen`, `allow_anonymous_loopback`, `body_max_kib`, `request_timeout_ms`, `in_flight_max`, `default_tier`",
    ),
    (
        "[models.fast]\napi_key = \"sk-this-is-a-secret\"",
        "workers.toml:2: models.fast.api_key: unknown field `api_key`, expected one of `provider`, `model`, `base_url`, `api_key_env`, `input_usd_per_million_tokens`, `cached_usd_per_million_tokens`, `output_usd_per_million_tokens`, `long_prompt`, `thinking_budget_tokens`, `thinking_level`, `response_format`, `output_limit_field`, `timeout_secs`, `retries`",
    ),
    (
        "[queues.Review]\nlimit = 4",
        "workers.toml:1: queues.Review: queue name may not contain 'R': allowed are a-z, 0-9, '.', '_' and '-'",
    ),
    (
        "[queues.review.limits]\n\"us er\" = 4",
        r#"workers.toml:2: queues.review.limits."us er": limit class may not contain ' ': allowed are a-z, 0-9, '.', '_' and '-'"#,
    ),
    (
        "[tiers.free]\nweight = 2",
        "workers.toml:1: tiers.free: this is no tier: expected A-Z, then A-Z, 0-9 and '_', 64 at most",
    ),
    (
        "[limits]\nuser = { requests = 0, period_secs = 1 }",
        "workers.toml:2: limits.user.requests = 0: invalid value: integer `0`, expected a whole number from 1 to 100000",
    ),
    ("[limits.address]\nrequests = 10", "workers.toml:1: limits.address: missing field `period_secs`"),
    (
        "[limits.api_key]\nrequests = 10\nperiod_secs = 10\nburst = 10001",
        "workers.toml:4: limits.api_key.burst = 10001: invalid value: integer `10001`, expected a whole number from 1 to 10000",
    ),
    (
        "[limits]\nredis_url = \"redis://:secret@localhost\"",
        "workers.toml:2: limits.redis_url: a password does not belong in this file: name the whole address in REDIS_URL, or in the file that REDIS_URL_FILE names",
    ),
    (
        "[limits]\nredis_url = \"localhost:6379\"",
        "workers.toml:2: limits.redis_url: this is no address of a Redis: expected redis://HOST:PORT, or rediss:// for TLS, perhaps with /DATABASE",
    ),
    (
        "[limits]\nwhen_redis_is_away = \"open\"",
        r#"workers.toml:2: limits.when_redis_is_away = "open": unknown variant `open`, expected `allow` or `refuse`"#,
    ),
    (
        "[limits]\nredis_wait_ms = 5000",
        "workers.toml:2: limits.redis_wait_ms = 5000: invalid value: integer `5000`, expected a whole number from 1 to 1000",
    ),
    (
        "[tiers.FREE]\ndaily = 0",
        "workers.toml:2: tiers.FREE.daily = 0: invalid value: integer `0`, expected a whole number from 1 to 10000, or \"unlimited\"",
    ),
    (
        "[tiers.FREE]\ndaily = 10001",
        "workers.toml:2: tiers.FREE.daily = 10001: invalid value: integer `10001`, expected a whole number from 1 to 10000, or \"unlimited\"",
    ),
    (
        "[tiers.FREE]\ndaily = \"none\"",
        r#"workers.toml:2: tiers.FREE.daily = "none": invalid value: string "none", expected a whole number from 1 to 10000, or "unlimited""#,
    ),
    (
        "[tiers.FREE]\ndaily = 1.5",
        "workers.toml:2: tiers.FREE.daily = 1.5: invalid type: floating point `1.5`, expected a whole number from 1 to 10000, or \"unlimited\"",
    ),
    (
        "[models.\"My model\"]\nprovider = \"gemini\"",
        r#"workers.toml:1: models."My model": this is no model name: expected a-z or 0-9, then a-z, 0-9, '.', '_' and '-', 64 at most"#,
    ),
    (
        "[forge.repositories]\n\"widgets\" = \"/srv/widgets\"",
        r#"workers.toml:2: forge.repositories.widgets: "widgets" is no repository: expected owner/name, each of 1 to 100 characters a-z, A-Z, 0-9, '.', '_' and '-'"#,
    ),
    (
        "[review.complexity]\nlines = 4",
        "workers.toml:2: review.complexity.lines: unknown field `lines`, expected one of `simple_lines_below`, `simple_files_max`, `medium_lines_below`, `medium_files_max`",
    ),
    (
        "[worker]\nconcurrency = 0",
        "workers.toml:2: worker.concurrency = 0: invalid value: integer `0`, expected a whole number from 1 to 10000",
    ),
    (
        "[worker]\nconcurrency = -1",
        "workers.toml:2: worker.concurrency = -1: invalid value: integer `-1`, expected a whole number from 1 to 10000",
    ),
    (
        "[worker]\nconcurrency = \"eight\"",
        r#"workers.toml:2: worker.concurrency = "eight": invalid type: string "eight", expected a whole number from 1 to 10000"#,
    ),
    (
        "[worker]\nconcurrency = 2.5",
        "workers.toml:2: worker.concurrency = 2.5: invalid type: floating point `2.5`, expected a whole number from 1 to 10000",
    ),
    (
        "[worker]\nconcurrency = 18446744073709551616",
        "workers.toml:2: worker.concurrency = 18446744073709551616: invalid value: integer `18446744073709551616`, expected a whole number from 1 to 10000",
    ),
    ("worker = 8", "workers.toml:1: worker = 8: invalid type: integer `8`, expected a table"),
    (
        "[worker]\nlease_secs = 0",
        "workers.toml:2: worker.lease_secs = 0: invalid value: integer `0`, expected a whole number from 1 to 3600",
    ),
    (
        "[worker]\npoll_interval_ms = 1",
        "workers.toml:2: worker.poll_interval_ms = 1: invalid value: integer `1`, expected a whole number from 10 to 300000",
    ),
    (
        "[worker.weights]\nreview = 0",
        "workers.toml:2: worker.weights.review = 0: invalid value: integer `0`, expected a whole number from 1 to 1000",
    ),
    (
        "[worker]\nweights = { review = 1001 }",
        "workers.toml:2: worker.weights.review = 1001: invalid value: integer `1001`, expected a whole number from 1 to 1000",
    ),
    (
        "[worker.weights]\nreview = \"heavy\"",
        r#"workers.toml:2: worker.weights.review = "heavy": invalid type: string "heavy", expected a whole number from 1 to 1000"#,
    ),
    (
        "[worker.weights]\nreview = 1.5",
        "workers.toml:2: worker.weights.review = 1.5: invalid type: floating point `1.5`, expected a whole number from 1 to 1000",
    ),
    ("[worker]\nweights = 3", "workers.toml:2: worker.weights = 3: invalid type: integer `3`, expected a map"),
    (
        "[queues.index]\n[worker.weights]\nreview = 2\nindeks = 3",
        "workers.toml:4: worker.weights.indeks = 3: there is no queue indeks: defined are index, review",
    ),
    ("[worker.weights]\nreview = 2\nreview = 3", "workers.toml:3: no TOML: duplicate key"),
    (
        "[worker.weights]\nReview = 2",
        "workers.toml:2: worker.weights.Review: queue name may not contain 'R': allowed are a-z, 0-9, '.', '_' and '-'",
    ),
    (
        "[worker]\nmetrics_listen = 9464",
        "workers.toml:2: worker.metrics_listen = 9464: invalid type: integer `9464`, expected a string",
    ),
    (
        "[api]\nlisten = \"localhost:8080\"",
        r#"workers.toml:2: api.listen = "localhost:8080": expected an IP address and a port, such as "127.0.0.1:8080""#,
    ),
    ("[api]\nlisten = 8080", "workers.toml:2: api.listen = 8080: invalid type: integer `8080`, expected a string"),
    (
        "[api]\nbody_max_kib = 0",
        "workers.toml:2: api.body_max_kib = 0: invalid value: integer `0`, expected a whole number from 1 to 65536",
    ),
    (
        "[api]\nallow_anonymous_loopback = \"yes\"",
        r#"workers.toml:2: api.allow_anonymous_loopback = "yes": invalid type: string "yes", expected a boolean"#,
    ),
    (
        "[store]\nurl = \"db.example.com\"",
        "workers.toml:2: store.url: expected postgres://user@host:port/database, with special characters of user and password as %XX",
    ),
    (
        "[store]\nurl = \"postgres://ann:s3cret-word@db.example.com/fleet\"",
        "workers.toml:2: store.url: a password does not belong in this file: name the whole address in DATABASE_URL (DATABASE_LISTEN_URL for listen_url), or the password alone in PGPASSWORD or ~/.pgpass",
    ),
    (
        "[store]\nlisten_url = \"postgres://ann@db.example.com/fleet?password=s3cret-word\"",
        "workers.toml:2: store.listen_url: a password does not belong in this file: name the whole address in DATABASE_URL (DATABASE_LISTEN_URL for listen_url), or the password alone in PGPASSWORD or ~/.pgpass",
    ),
    (
        "[store]\ntransaction_pooler = true",
        "workers.toml:2: store.transaction_pooler = true: no wake-up comes through a pooler in transaction mode: name the server's own address in store.listen_url or DATABASE_LISTEN_URL as well",
    ),
    (
        "[store]\nworker_connections = 1",
        "workers.toml:2: store.worker_connections = 1: invalid value: integer `1`, expected a whole number from 2 to 1000",
    ),
    ("[store]\ndata_dir = \"\"", r#"workers.toml:2: store.data_dir = "": expected the path of a folder"#),
    (
        "[queues.review]\nlimit = 0",
        "workers.toml:2: queues.review.limit = 0: invalid value: integer `0`, expected a whole number from 1 to 1000000",
    ),
    (
        "[queues.review.limits]\nuser = 0",
        "workers.toml:2: queues.review.limits.user = 0: invalid value: integer `0`, expected a whole number from 1 to 1000000",
    ),
    (
        "[queues.review]\nunique_window_secs = 99999999",
        "workers.toml:2: queues.review.unique_window_secs = 99999999: invalid value: integer `99999999`, expected a whole number from 0 to 2592000",
    ),
    (
        "[queues.review.throttles.user]\nstarts = 0\nperiod_secs = 60",
        "workers.toml:2: queues.review.throttles.user.starts = 0: invalid value: integer `0`, expected a whole number from 1 to 1000",
    ),
    (
        "[queues.review.throttles]\nuser = { starts = 5, period_secs = 2592001 }",
        "workers.toml:2: queues.review.throttles.user.period_secs = 2592001: invalid value: integer `2592001`, expected a whole number from 1 to 2592000",
    ),
    (
        "[queues.review.throttles]\nuser = { starts = 5, period_secs = 60, when_full = \"drop\" }",
        r#"workers.toml:2: queues.review.throttles.user.when_full = "drop": unknown variant `drop`, expected `wait` or `refuse`"#,
    ),
    (
        "[queues.review.throttles.user]\nstarts = 5",
        "workers.toml:1: queues.review.throttles.user: missing field `period_secs`",
    ),
    (
        "[groups.account]\nqueues = [\"review\", \"index\"]\nlimit = 5",
        r#"workers.toml:2: groups.account.queues = ["review", "index"]: there is no queue index: defined are review"#,
    ),
    (
        "[groups.a]\nqueues = [\"review\"]\nlimit = 5\n[groups.b]\nqueues = [\"review\"]\nlimit = 5",
        r#"workers.toml:5: groups.b.queues = ["review"]: queue review is in the group a already: a queue is in one group at most, and once"#,
    ),
    ("[groups.a]\nqueues = []\nlimit = 5", "workers.toml:2: groups.a.queues = []: expected at least one queue"),
    (
        "[groups.a]\nqueues = [\"review\"]\nlimit = 0",
        "workers.toml:3: groups.a.limit = 0: invalid value: integer `0`, expected a whole number from 1 to 1000000",
    ),
    (
        "[groups.A]\nqueues = [\"review\"]\nlimit = 5",
        "workers.toml:1: groups.A: group name may not contain 'A': allowed are a-z, 0-9, '.', '_' and '-'",
    ),
    (
        "[cron.weekly]\nexpression = \"0 25 * * *\"\nqueue = \"review\"\nkind = \"report\"",
        r#"workers.toml:2: cron.weekly.expression = "0 25 * * *": "25" is no hour: expected 0 to 23, as *, N, N-M or a list of them, perhaps with a step /N"#,
    ),
    (
        "[cron.weekly]\nexpression = \"@daily\"\ntime_zone = \"Mars\"\nqueue = \"review\"\nkind = \"report\"",
        r#"workers.toml:3: cron.weekly.time_zone = "Mars": "Mars" is no time zone: expected a name of the IANA database, such as UTC or Europe/Berlin"#,
    ),
    (
        "[cron.weekly]\nexpression = \"@daily\"\nqueue = \"index\"\nkind = \"report\"",
        r#"workers.toml:3: cron.weekly.queue = "index": there is no queue index: defined are review"#,
    ),
    (
        "[cron.weekly]\nexpression = \"@daily\"\nqueue = \"review\"\nkind = \"report\"\nkey = \"all\"",
        r#"workers.toml:5: cron.weekly.key = "all": a key needs a class, whose limit it has: expected class beside it"#,
    ),
    (
        "[cron.weekly]\nexpression = \"@daily\"\nqueue = \"review\"\nkind = \"report\"\nclass = \"user\"",
        r#"workers.toml:5: cron.weekly.class = "user": a class limits keys: expected key beside it"#,
    ),
    (
        "[cron.weekly]\nexpression = \"@daily\"\nqueue = \"review\"\nkind = \"report\"\nkey = \"all\"\nclass = \"bot\"",
        r#"workers.toml:6: cron.weekly.class = "bot": queue review has no limit class bot: allowed are user"#,
    ),
    (
        "[cron.weekly]\nexpression = \"@daily\"\nqueue = \"review\"\nkind = \"report\"\npayload = \"{\"",
        r#"workers.toml:5: cron.weekly.payload = "{": expected JSON in quotes, such as '{"for": "all"}'"#,
    ),
    (
        "[retry]\nretries = -1",
        "workers.toml:2: retry.retries = -1: invalid value: integer `-1`, expected a whole number from 0 to 100",
    ),
    (
        "[retry]\nmax_crashes = 0",
        "workers.toml:2: retry.max_crashes = 0: invalid value: integer `0`, expected a whole number from 1 to 100",
    ),
    (
        "[tiers.PRO]\nweight = 0",
        "workers.toml:2: tiers.PRO.weight = 0: invalid value: integer `0`, expected a whole number from 1 to 1000",
    ),
    (
        "[tiers.PRO]\ntimeout_secs = 0",
        "workers.toml:2: tiers.PRO.timeout_secs = 0: invalid value: integer `0`, expected a whole number from 1 to 3600",
    ),
    (
        "[tiers.PRO]\npriority = 40000",
        "workers.toml:2: tiers.PRO.priority = 40000: invalid value: integer `40000`, expected a whole number from -1000 to 1000",
    ),
    (
        "[forge]\nkind = \"github\"",
        r#"workers.toml:2: forge.kind = "github": unknown variant `github`, expected `local`"#,
    ),
    (
        "[review]\nseverity_floor = \"high\"",
        r#"workers.toml:2: review.severity_floor = "high": unknown variant `high`, expected one of `note`, `minor`, `major`, `critical`"#,
    ),
    (
        "[review]\ncost_max_usd = -1",
        r#"workers.toml:2: review.cost_max_usd = -1: invalid value: integer `-1`, expected US dollars from 0 to 1000000 with at most 6 decimals, such as 0.30 or "0.30""#,
    ),
    (
        "[review]\ncost_max_usd = 0.0000001",
        r#"workers.toml:2: review.cost_max_usd = 0.0000001: invalid value: floating point `0.0000001`, expected US dollars from 0 to 1000000 with at most 6 decimals, such as 0.30 or "0.30""#,
    ),
    (
        "[review]\ncost_max_usd = \"ten\"",
        r#"workers.toml:2: review.cost_max_usd = "ten": invalid value: string "ten", expected US dollars from 0 to 1000000 with at most 6 decimals, such as 0.30 or "0.30""#,
    ),
    (
        "[review]\non_model_failure = \"give up\"",
        r#"workers.toml:2: review.on_model_failure = "give up": unknown variant `give up`, expected `rules` or `retry`"#,
    ),
    (
        "[review]\nskip = \"docs/**\"",
        r#"workers.toml:2: review.skip = "docs/**": invalid type: string "docs/**", expected a sequence"#,
    ),
    ("[routing]\nsimple = 1", "workers.toml:2: routing.simple = 1: invalid type: integer `1`, expected a string"),
    (
        "[telemetry]\nlog_format = \"yaml\"",
        r#"workers.toml:2: telemetry.log_format = "yaml": unknown variant `yaml`, expected `text` or `json`"#,
    ),
    (
        "[api]\nlisten = \"0.0.0.0:8080\"\nallow_anonymous_loopback = true",
        "workers.toml:3: api.allow_anonymous_loopback = true: anyone who reaches 0.0.0.0:8080 could use the API without a key: allowed on a loopback address only, such as 127.0.0.1",
    ),
    (
        "[queues.review]\nlimit = 40\nlimits.user = 41",
        "workers.toml:3: queues.review.limits.user = 41: a limit of 41 for each key of class user is never reached: all jobs of the queue together have a limit of 40. Expected at most that",
    ),
    (
        "[retry]\nbase_ms = 400000",
        "workers.toml:2: retry.base_ms = 400000: the first delay is above retry.cap_secs, which is 300",
    ),
    (
        "[review.complexity]\nsimple_lines_below = 600",
        "workers.toml:2: review.complexity.simple_lines_below = 600: a simple change would be larger than a medium one: expected at most review.complexity.medium_lines_below, which is 500",
    ),
    (
        "[review.complexity]\nmedium_files_max = 1",
        "workers.toml: review.complexity.simple_files_max: a simple change would be larger than a medium one: expected at most review.complexity.medium_files_max, which is 1",
    ),
    (
        "[review]\nskip = [\"docs/**\", \"/\"]",
        r#"workers.toml:2: review.skip = ["docs/**", "/"]: "/" is no glob of files: expected 1 to 200 characters, as .gitignore has them, such as "docs/**""#,
    ),
    (
        "[routing]\nsimple = \"quick\"",
        r#"workers.toml:2: routing.simple = "quick": there is no model quick: defined are fast, strong"#,
    ),
    (
        "[routing]\nfallbacks = [\"fast\", \"fast\"]",
        r#"workers.toml:2: routing.fallbacks = ["fast", "fast"]: fast is named twice: once is enough"#,
    ),
    (
        "[telemetry]\nlog_level = \"loud=very\"",
        r#"workers.toml:2: telemetry.log_level = "loud=very": expected error, warn, info, debug, trace or off, or directives such as info,worker=debug"#,
    ),
    (
        "[tiers.FREE]\ntimeout_secs = 45",
        "workers.toml:2: tiers.FREE.timeout_secs = 45: a job of tier FREE ends after 45 s, and a call of model fast may take 90 s with its retries: expected more",
    ),
];

/// Mistakes in the table of a model, which stands in four lines before them as far as they leave it.
pub const MODEL_MISTAKES: &[(&str, &str)] = &[
    (
        r#"provider = "claude""#,
        r#"workers.toml:5: models.fast.provider = "claude": unknown variant `claude`, expected `gemini` or `openai`"#,
    ),
    (
        r#"provider = "openai""#,
        r#"workers.toml: models.fast.base_url: an openai model needs one, such as "https://api.openai.com/v1" or "http://127.0.0.1:11434/v1""#,
    ),
    (
        r#"model = """#,
        r#"workers.toml:5: models.fast.model = "": expected the provider's name for the model, 1 to 200 visible ASCII characters"#,
    ),
    (
        r#"base_url = "ftp://models""#,
        "workers.toml:6: models.fast.base_url: expected http:// or https://, a host and perhaps a path, without user, query or fragment",
    ),
    (
        r#"base_url = "https://user:pass@models/v1""#,
        "workers.toml:6: models.fast.base_url: expected http:// or https://, a host and perhaps a path, without user, query or fragment",
    ),
    (
        r#"api_key_env = "AIza-this-is-a-secret""#,
        "workers.toml:6: models.fast.api_key_env: this is no name of an environment variable: expected A-Z or '_', then A-Z, 0-9 and '_', 64 at most",
    ),
    (
        "thinking_budget_tokens = 512\nthinking_level = \"low\"",
        "workers.toml:6: models.fast.thinking_budget_tokens = 512: thinking_level is set as well: a model takes one of them",
    ),
    (
        "thinking_budget_tokens = 8192",
        "workers.toml:6: models.fast.thinking_budget_tokens = 8192: thoughts count as output, and no token would be left for the answer: expected less than review.output_tokens_max, which is 8192",
    ),
    (
        r#"thinking_level = "hard""#,
        r#"workers.toml:6: models.fast.thinking_level = "hard": unknown variant `hard`, expected one of `minimal`, `low`, `medium`, `high`"#,
    ),
    (
        "timeout_secs = 60",
        "workers.toml:6: models.fast.timeout_secs = 60: a job of tier FREE ends after 120 s, and a call of model fast may take 120 s with its retries: expected less",
    ),
    (
        "retries = 11",
        "workers.toml:6: models.fast.retries = 11: invalid value: integer `11`, expected a whole number from 0 to 10",
    ),
    (
        "cached_usd_per_million_tokens = 3",
        "workers.toml:6: models.fast.cached_usd_per_million_tokens = 3: tokens from the cache would cost more than others: expected at most input_usd_per_million_tokens",
    ),
    (
        "long_prompt = { above_tokens = 9, input_usd_per_million_tokens = 1, output_usd_per_million_tokens = 2 }",
        "workers.toml:6: models.fast.long_prompt: long prompts would cost less than others: expected prices that are at least as high",
    ),
    (
        r#"response_format = "json_schema""#,
        r#"workers.toml:6: models.fast.response_format = "json_schema": allowed for models of provider openai only"#,
    ),
    (
        r#"output_limit_field = "max_tokens""#,
        r#"workers.toml:6: models.fast.output_limit_field = "max_tokens": allowed for models of provider openai only"#,
    ),
    (
        "thinking_budget_tokens = -2",
        "workers.toml:6: models.fast.thinking_budget_tokens = -2: invalid value: integer `-2`, expected a whole number from -1 to 1000000",
    ),
    (
        "provider = \"openai\"\nbase_url = \"http://h\"\nthinking_level = \"low\"",
        r#"workers.toml:7: models.fast.thinking_level = "low": allowed for models of provider gemini only"#,
    ),
    (
        "provider = \"openai\"\nbase_url = \"http://h\"\nresponse_format = \"xml\"",
        r#"workers.toml:7: models.fast.response_format = "xml": unknown variant `xml`, expected one of `json_schema`, `json_object`, `none`"#,
    ),
];
