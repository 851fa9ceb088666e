mod mistakes;

use std::{fs, path::Path};

use secrecy::ExposeSecret;

use super::*;

const SHIPPED: &str = include_str!("../../../../../workers.toml");

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables.iter().copied().collect()
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    parse_with(text, &[])
}

fn parse_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("workers.toml"), &environment(variables))
}

fn seen(config: &Config) -> String {
    format!("{config:#?}")
}

#[test]
fn the_shipped_file_shows_the_defaults() {
    let mut shipped = parse(SHIPPED).unwrap();
    // The one key that has no default: a fleet's database.
    assert_eq!(shipped.store.url.take().unwrap().to_string(), "postgres://reviewfleet@127.0.0.1:5432/reviewfleet");
    assert_eq!(seen(&shipped), seen(&Config::default()));
}

#[test]
fn the_shipped_file_shows_every_key() {
    let mut keys = 0;
    for table in [
        "",
        "[api]",
        "[limits]",
        "[limits.user]",
        "[store]",
        "[queues.review]",
        "[queues.review.throttles.user]",
        "[groups.account]",
        "[cron.weekly]",
        "[worker]",
        "[retry]",
        "[tiers.FREE]",
        "[forge]",
        "[review]",
        "[review.complexity]",
        "[models.fast]",
        "[models.strong.long_prompt]",
        "[routing]",
        "[telemetry]",
    ] {
        let error = parse(&format!("{table}\nno-such-key = 0")).unwrap_err().to_string();
        for key in error.split_once("expected").unwrap().1.split('`').skip(1).step_by(2) {
            keys += 1;
            let inner = table.replace(']', ".") + key;
            // What is not there by default is explained, and shown within one line.
            let is_word = |word: &str| word == key;
            let told = |line: &str| line.split(|c: char| c != '_' && !c.is_ascii_alphanumeric()).any(is_word);
            if ["[limits.user]", "[queues.review.throttles.user]", "[groups.account]", "[cron.weekly]"].contains(&table)
            {
                assert!(SHIPPED.lines().any(|line| line.starts_with('#') && told(line)), "{table} {key}");
                continue;
            }
            let shown = SHIPPED.lines().any(|line| {
                line.trim_start_matches("# ").starts_with(&format!("{key} = "))
                    || line.starts_with(&format!("{}{inner}", if table.is_empty() { "[" } else { "" }))
            });
            assert!(shown || inner == "[models.fast.long_prompt", "{table} {key}");
        }
    }
    assert!(keys > 50, "{keys}");
}

#[test]
fn an_empty_file_is_the_defaults() {
    assert_eq!(seen(&parse("").unwrap()), seen(&Config::default()));
}

#[test]
fn what_stands_in_the_shipped_file_as_a_comment_is_allowed_too() {
    let mut text = String::new();
    // These three are for other models than the one whose table they stand in.
    let elsewhere = ["# thinking_level", "# response_format", "# output_limit_field"];
    for line in SHIPPED.lines().filter(|line| !elsewhere.iter().any(|key| line.starts_with(key))) {
        let commented = line.strip_prefix("# ").filter(|rest| {
            rest.split_once(" = ").is_some_and(|(key, _)| !key.trim_matches('"').contains([' ', '.', ':']))
        });
        text.push_str(commented.unwrap_or(line));
        text.push('\n');
    }
    let config = parse(&text).unwrap();
    let widgets = config.forge.repositories.get(&"acme/widgets".parse().unwrap());
    assert_eq!(widgets.map(PathBuf::as_path), Some(Path::new("../widgets")));
    let fast = &config.models[&"fast".parse().unwrap()];
    assert_eq!(fast.base_url.as_deref(), Some(fast.url()));
    assert_eq!(fast.api_key_env.as_ref().map(VariableName::as_str), Some("GEMINI_API_KEY"));
    assert!(fast.cached_price.is_some());
}

#[test]
fn a_workers_queues_carry_the_weights_that_it_names() {
    let config = parse("[queues.index]\n[worker.weights]\nreview = 1000\nindex = 1").unwrap();
    let weights: Vec<_> = config.worker.weights.iter().map(|(queue, weight)| (queue.as_str(), weight.get())).collect();
    assert_eq!(weights, [("index", 1), ("review", 1000)]);
}

#[test]
fn the_defaults_are_the_numbers_of_the_service() {
    let config = Config::default();
    let review = &config.queues[&"review".parse().unwrap()];
    assert_eq!((review.limit, review.limits[&"user".parse().unwrap()]), (200, 50));
    let tier = |name: &str| {
        let tier = &config.tiers[&name.parse().unwrap()];
        (tier.priority.0, tier.weight.get(), tier.timeout.as_secs(), tier.daily)
    };
    assert_eq!([tier("FREE"), tier("PRO")], [(50, 1, 120, Some(10)), (50, 2, 120, Some(100))]);
    assert_eq!([tier("TEAM"), tier("ENTERPRISE")], [(50, 4, 120, Some(500)), (100, 8, 300, None)]);
    assert_eq!(config.retry.max_attempts(), 4);
    assert_eq!(config.retry.policy(), job::RetryPolicy::default());
}

#[test]
fn a_quota_is_what_its_tier_says_and_none_where_it_is_unlimited_or_nobody_has_set_one() {
    let config = parse(
        "[tiers.FREE]\ndaily = \"unlimited\"\n[tiers.PRO]\nweight = 3\n[tiers.ENTERPRISE]\ndaily = 10000\n[tiers.GOLD]",
    );
    let config = config.unwrap();
    let daily = |name: &str| config.tiers[&name.parse().unwrap()].daily;
    assert_eq!(
        [daily("FREE"), daily("PRO"), daily("ENTERPRISE"), daily("GOLD")],
        [None, Some(100), Some(10_000), None]
    );
}

#[test]
fn a_rate_has_the_burst_of_its_period_unless_it_says_another_and_redis_is_named_by_the_environment_first() {
    let text = "[limits]\nuser = { requests = 60, period_secs = 30 }\naddress = { requests = 100000, period_secs = 1 }\n\
                api_key = { requests = 9, period_secs = 1, burst = 2 }\nredis_url = \"redis://file\"\nwhen_redis_is_away = \"refuse\"";
    let limits =
        parse_with(text, &[("REDIS_URL", "rediss://me:secret@redis.example.com:6380")]).unwrap().limits.limits();
    let user = limits.user.unwrap();
    assert_eq!((user.requests(), user.period_secs(), user.burst()), (60, 30, 60));
    assert_eq!((limits.address.unwrap().burst(), limits.api_key.unwrap().burst()), (10_000, 2));
    let shared = limits.shared.unwrap();
    assert_eq!((shared.url.to_string().as_str(), shared.wait.as_millis()), ("rediss://me@redis.example.com:6380", 50));
    assert_eq!(shared.when_away, ::limits::WhenAway::Refuse);
    let error = parse_with("", &[("REDIS_URL", "secret")]).unwrap_err().to_string();
    assert!(error.starts_with("environment variable REDIS_URL: this is no address of a Redis"), "{error}");
}

#[test]
fn a_table_of_a_tier_or_queue_changes_what_it_names_and_no_more() {
    let config = parse(
        "[tiers.ENTERPRISE]\nweight = 20\n[tiers.GOLD]\npriority = 70\n[queues.index]\nlimit = 3\nlimits = { user = 1 }\n\
         [queues.small]\nlimit = 4\n[queues.review.limits]\nrepository = 7",
    )
    .unwrap();
    let enterprise = &config.tiers[&"ENTERPRISE".parse().unwrap()];
    assert_eq!((enterprise.priority.0, enterprise.weight.get(), enterprise.timeout.as_secs()), (100, 20, 300));
    let gold = &config.tiers[&"GOLD".parse().unwrap()];
    assert_eq!((gold.priority.0, gold.weight.get(), gold.timeout.as_secs()), (70, 1, 120));
    assert_eq!(config.tiers.len(), 5);
    assert_eq!(config.queues.len(), 3);
    assert_eq!(config.queues[&"small".parse().unwrap()].limits.values().copied().collect::<Vec<_>>(), [4]);
    let review = &config.queues[&"review".parse().unwrap()];
    assert_eq!(review.limits.values().copied().collect::<Vec<_>>(), [7, 50]);
}

#[test]
fn a_model_of_a_shipped_name_inherits_no_price() {
    let error = parse("[models.fast]\nprovider = \"gemini\"\nmodel = \"gemini-9-flash\"").unwrap_err();
    assert_eq!(error.to_string(), "workers.toml:1: models.fast: missing field `input_usd_per_million_tokens`");
}

#[test]
fn paths_start_at_the_folder_of_the_file() {
    let text = "[store]\ndata_dir = \"data\"\n[forge.repositories]\n\"acme/a\" = \"a\"\n\"acme/b\" = \"/srv/b\"";
    let config = Config::parse(text, Path::new("/etc/reviewfleet/workers.toml"), &Environment::default()).unwrap();
    assert_eq!(config.store.data_dir, Path::new("/etc/reviewfleet/data"));
    let paths: Vec<_> = config.forge.repositories.values().collect();
    assert_eq!(paths, [Path::new("/etc/reviewfleet/a"), Path::new("/srv/b")]);
}

#[test]
fn the_file_is_the_one_given_or_the_one_that_the_environment_names() {
    let folder = tempfile::tempdir().unwrap();
    let [given, named] = ["given.toml", "named.toml"].map(|name| folder.path().join(name));
    fs::write(&given, "worker.concurrency = 3").unwrap();
    fs::write(&named, "worker.concurrency = 4").unwrap();
    let variables = environment(&[("REVIEWFLEET_CONFIG", named.to_str().unwrap())]);
    let config = Config::load(Some(&given), &variables).unwrap();
    assert_eq!((config.worker.concurrency, config.file), (3, Some(given)));
    let config = Config::load(None, &variables).unwrap();
    assert_eq!((config.worker.concurrency, config.file), (4, Some(named)));

    let missing = folder.path().join("missing.toml");
    let error = Config::load(Some(&missing), &variables).unwrap_err();
    assert_eq!(error.to_string(), format!("the configuration {} cannot be read", missing.display()));
    let error = Config::load(Some(folder.path()), &variables).unwrap_err();
    assert!(matches!(error, ConfigError::Read { .. }), "{error:?}");
}

#[test]
fn money_is_read_exactly_in_every_spelling() {
    for (text, micros) in [("0.30", 300_000), ("\"0.30\"", 300_000), ("3e-1", 300_000), ("2", 2_000_000), ("0", 0)] {
        let config = parse(&format!("review.cost_max_usd = {text}")).unwrap();
        assert_eq!(config.review.cost_max.0, micros, "{text}");
    }
}

#[test]
fn a_mistake_is_named_with_its_line_key_value_and_what_is_allowed() {
    for (text, message) in mistakes::MISTAKES {
        assert_eq!(parse(text).unwrap_err().to_string(), *message, "{text}");
    }
    for (text, message) in mistakes::MODEL_MISTAKES {
        assert_eq!(parse(&model_table(text)).unwrap_err().to_string(), *message, "{text}");
    }
}

/// A model's table with these lines in place of its own.
fn model_table(changes: &str) -> String {
    let mut text = String::from("[models.fast]\n");
    for line in [
        "provider = \"gemini\"",
        "model = \"m\"",
        "input_usd_per_million_tokens = 2",
        "output_usd_per_million_tokens = 2",
    ] {
        let key = line.split(' ').next().unwrap();
        if !changes.lines().any(|change| change.split(' ').next() == Some(key)) {
            text.push_str(line);
            text.push('\n');
        }
    }
    text + changes
}

#[test]
fn secrets_come_from_a_variable_or_from_the_file_that_a_variable_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    fs::write(&path, "0123456789abcdef-file\n").unwrap();
    let path = path.to_str().unwrap();
    let keys = |config: &Config| -> Vec<String> {
        config.secrets.api_keys.iter().map(|key| key.expose_secret().to_owned()).collect()
    };
    let by_value = parse_with("", &[("REVIEWFLEET_API_KEY", "0123456789abcdef,fedcba9876543210")]).unwrap();
    assert_eq!(keys(&by_value), ["0123456789abcdef", "fedcba9876543210"]);
    let by_file = parse_with("", &[("REVIEWFLEET_API_KEY_FILE", path)]).unwrap();
    assert_eq!(keys(&by_file), ["0123456789abcdef-file"]);
    assert_eq!(keys(&parse_with("", &[("REVIEWFLEET_API_KEY", "")]).unwrap()), [""; 0]);
    let printed = seen(&by_file);
    assert!(!printed.contains("0123456789abcdef"), "{printed}");
}

#[test]
fn the_command_line_goes_before_the_environment_and_both_before_the_file() {
    const FILE: &str = "store.url = \"postgres://ann@file.example.com/fleet\"";
    let (secret, variable) = ("s3cret-word", ("DATABASE_URL", "postgres://ann:s3cret-word@env.example.com/fleet"));
    let place = |config: &Config| crate::Place::of(&config.store).to_string();
    let by_file = parse(FILE).unwrap();
    assert_eq!(place(&by_file), "postgres://ann@file.example.com:5432/fleet (store.url)");
    let by_environment = parse_with(FILE, &[variable]).unwrap();
    assert_eq!(place(&by_environment), "postgres://ann@env.example.com:5432/fleet (DATABASE_URL)");
    let option = Some("postgres://ann:s3cret-word@line.example.com/fleet");
    let by_line = by_environment.clone().with_database(option).unwrap();
    assert_eq!(place(&by_line), "postgres://ann@line.example.com:5432/fleet (--database-url)");
    assert_eq!(place(&by_line.clone().with_database(None).unwrap()), place(&by_line));
    for config in [&by_environment, &by_line] {
        assert!(!seen(config).contains(secret), "{}", seen(config));
        assert!(config.store.url.as_ref().unwrap().expose().contains(secret));
    }
    let embedded = parse_with("", &[("DATABASE_URL", "")]).unwrap();
    assert_eq!(place(&embedded), "reviewfleet-data (store.data_dir)");
}

#[test]
fn what_runs_out_of_the_box_passes_over_the_database_of_the_file_alone() {
    let variables = [("DATABASE_URL", "postgres://ann@env.example.com/fleet")];
    let mut by_file = parse(SHIPPED).unwrap();
    assert!(by_file.pass_over_database_of_file().is_some());
    assert_eq!(by_file.store.url, None);
    let mut by_environment = parse_with(SHIPPED, &variables).unwrap();
    let mut by_line = parse(SHIPPED).unwrap().with_database(Some(variables[0].1)).unwrap();
    for config in [&mut by_environment, &mut by_line] {
        assert_eq!(config.pass_over_database_of_file(), None);
        assert!(config.store.url.is_some());
        config.embed_in("elsewhere");
        assert_eq!(crate::Place::of(&config.store).to_string(), "elsewhere (store.data_dir)");
    }
}

#[test]
fn the_address_of_a_database_may_lie_in_a_secrets_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("url");
    fs::write(&path, "postgres://ann:s3cret-word@h/fleet\n").unwrap();
    let path = path.to_str().unwrap();
    let variables = [("DATABASE_URL_FILE", path), ("DATABASE_LISTEN_URL_FILE", path)];
    let store = parse_with("store.transaction_pooler = true", &variables).unwrap().store;
    for address in [store.url, store.listen_url] {
        assert_eq!(address.unwrap().expose(), "postgres://ann:s3cret-word@h/fleet");
    }
}

#[test]
fn a_database_that_the_command_line_names_wrongly_is_refused_without_its_password() {
    let error = Config::default().with_database(Some("mysql://ann:s3cret-word@h/fleet")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "--database-url: expected postgres://user@host:port/database, with special characters of user and password as %XX"
    );
}

#[test]
fn a_mistake_in_the_environment_names_the_variable_and_not_its_value() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (empty, long) = (write("empty", "\n"), write("long", &"x".repeat(20_000)));
    let missing = folder.path().join("missing").to_str().unwrap().to_owned();
    let url = ("OPENAI_BASE_URL", "http://127.0.0.1:8000/v1");
    let mistakes: &[(&[(&str, &str)], String)] = &[
        (
            &[("REVIEWFLEET_API_KEY", "short")],
            "environment variable REVIEWFLEET_API_KEY: a key has 5 bytes: expected at least 16".into(),
        ),
        (
            &[("REVIEWFLEET_API_KEY", "0123456789abcdef,")],
            "environment variable REVIEWFLEET_API_KEY: a key has 0 bytes: expected at least 16".into(),
        ),
        (
            &[("REVIEWFLEET_API_KEY", "with spaces between words")],
            "environment variable REVIEWFLEET_API_KEY: a secret has one or more visible ASCII characters and no spaces"
                .into(),
        ),
        (
            &[("GEMINI_API_KEY", "a"), ("GEMINI_API_KEY_FILE", &missing)],
            "environment variable GEMINI_API_KEY: GEMINI_API_KEY_FILE is set as well: only one of them may be".into(),
        ),
        (
            &[("GEMINI_API_KEY_FILE", &missing)],
            format!("environment variable GEMINI_API_KEY_FILE: the file {missing} cannot be read"),
        ),
        (
            &[("GEMINI_API_KEY_FILE", &empty)],
            "environment variable GEMINI_API_KEY_FILE: a secret has one or more visible ASCII characters and no spaces"
                .into(),
        ),
        (
            &[("GEMINI_API_KEY_FILE", &long)],
            format!("environment variable GEMINI_API_KEY_FILE: {long} has 20000 bytes: a secret has at most 16384"),
        ),
        (
            &[url, ("OPENAI_MODEL", "two words")],
            "environment variable OPENAI_MODEL: expected the provider's name for the model, 1 to 200 visible ASCII \
             characters"
                .into(),
        ),
        (
            &[("OPENAI_BASE_URL", "127.0.0.1:8000"), ("OPENAI_MODEL", "m")],
            "environment variable OPENAI_BASE_URL: expected http:// or https://, a host and perhaps a path, without \
             user, query or fragment"
                .into(),
        ),
        (
            &[("DATABASE_URL", "mysql://ann:s3cret-word@h/fleet")],
            "environment variable DATABASE_URL: expected postgres://user@host:port/database, with special characters of \
             user and password as %XX"
                .into(),
        ),
        (
            &[("RUST_LOG", "loud=very")],
            "environment variable RUST_LOG: expected error, warn, info, debug, trace or off, or directives such as \
             info,worker=debug"
                .into(),
        ),
    ];
    for (variables, message) in mistakes {
        assert_eq!(parse_with("", variables).unwrap_err().to_string(), *message);
    }
    let twice = parse_with(
        "[models.openai]\nprovider = \"openai\"\nmodel = \"m\"\nbase_url = \"http://h\"\n\
         input_usd_per_million_tokens = 0\noutput_usd_per_million_tokens = 0",
        &[url, ("OPENAI_MODEL", "m")],
    );
    assert_eq!(
        twice.unwrap_err().to_string(),
        "workers.toml:1: models.openai: OPENAI_BASE_URL defines a model of this name too: rename this one or unset the \
         variable"
    );
}

#[test]
fn the_api_is_open_without_a_key_only_when_that_was_asked_for() {
    let refused = parse("").unwrap().api_access().unwrap_err();
    assert!(refused.to_string().starts_with("environment variable REVIEWFLEET_API_KEY: the API needs a key"));
    let open = parse("api.allow_anonymous_loopback = true").unwrap();
    assert!(matches!(open.api_access().unwrap(), ApiAccess::AnonymousLoopback));
    let variables = [("REVIEWFLEET_API_KEY", "0123456789abcdef")];
    let keyed = parse_with("api.allow_anonymous_loopback = true", &variables).unwrap();
    assert!(matches!(keyed.api_access().unwrap(), ApiAccess::Keys(_)));
}

#[test]
fn a_model_without_its_key_is_passed_over() {
    let order = |config: &Config, first: &ModelName| {
        config.models_after(first).into_iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let none = parse("").unwrap();
    assert_eq!(order(&none, &none.routing.complex), [""; 0]);
    assert_eq!(
        none.reviewer_line(),
        "the built-in rule reviewer alone, since no model has a key: set GEMINI_API_KEY, or OPENAI_BASE_URL"
    );

    let gemini = parse_with("", &[("GEMINI_API_KEY", "k")]).unwrap();
    assert_eq!(order(&gemini, &gemini.routing.simple), ["fast"]);
    assert_eq!(order(&gemini, &gemini.routing.complex), ["strong", "fast"]);
    assert_eq!(
        gemini.reviewer_line(),
        "fast (gemini-2.5-flash at gemini) for simple and medium changes, strong (gemini-2.5-pro at gemini) for complex \
         changes"
    );

    let local = [("OPENAI_BASE_URL", "http://127.0.0.1:8000/v1"), ("OPENAI_MODEL", "qwen3-coder:30b")];
    let unnamed = parse_with("", &local[..1]).unwrap();
    assert_eq!(
        unnamed.reviewer_line(),
        "openai (the first model that http://127.0.0.1:8000/v1 lists) for simple, medium and complex changes"
    );
    let local = parse_with("", &local).unwrap();
    let openai = &local.models[&"openai".parse().unwrap()];
    assert_eq!((openai.url(), openai.key_variable()), ("http://127.0.0.1:8000/v1", None));
    assert_eq!(order(&local, &local.routing.complex), ["openai"]);
    assert_eq!(local.reviewer_line(), "openai (qwen3-coder:30b at openai) for simple, medium and complex changes");

    let keyed = [("OPENAI_BASE_URL", "https://h/v1"), ("OPENAI_MODEL", "m"), ("OPENAI_API_KEY", "k")];
    let keyed = parse_with("", &keyed).unwrap();
    assert!(keyed.is_available(&"openai".parse().unwrap()));
    assert!(keyed.secrets.model_keys.contains_key(&"openai".parse().unwrap()));
    let stray_key = parse_with("", &[("OPENAI_API_KEY", "k")]).unwrap();
    assert!(!stray_key.models.contains_key(&"openai".parse().unwrap()));
}

#[test]
fn a_part_of_the_changes_may_be_left_to_the_rules() {
    let text = "[models.own]\nprovider = \"gemini\"\nmodel = \"m\"\napi_key_env = \"OWN_KEY\"\n\
                input_usd_per_million_tokens = 0\noutput_usd_per_million_tokens = 0\n\
                [routing]\nsimple = \"own\"\nfallbacks = []";
    let config = parse_with(text, &[("OWN_KEY", "k")]).unwrap();
    assert_eq!(
        config.reviewer_line(),
        "own (m at gemini) for simple changes, the built-in rule reviewer alone for medium and complex changes"
    );
}

#[test]
fn a_file_that_was_cut_off_or_garbled_is_read_or_refused_with_a_line_of_it() {
    let lines = SHIPPED.lines().count();
    let garbled = (0..SHIPPED.len()).step_by(89).flat_map(|at| {
        let (start, end) = SHIPPED.split_at(at);
        let rest = end.chars().skip(1).collect::<String>();
        ["", "\"", "[", "=", "\n", "9", "\u{0}", "\u{1f980}"]
            .map(|put| format!("{start}{put}{rest}"))
            .into_iter()
            .chain([start.to_owned()])
    });
    for text in garbled {
        match parse(&text) {
            Ok(_) | Err(ConfigError::File(Mistake { line: None, key: Some(_), .. })) => {}
            Err(ConfigError::File(Mistake { line: Some(line), .. })) => assert!(line <= lines + 1, "{line}"),
            Err(other) => panic!("{other}"),
        }
    }
}

/// The least that is a bare git repository.
fn bare_repository(path: &Path) {
    for folder in ["objects", "refs"] {
        fs::create_dir_all(path.join(folder)).unwrap();
    }
    fs::write(path.join("HEAD"), "ref: refs/heads/main\n").unwrap();
}

#[test]
fn a_repository_that_is_none_is_refused_by_file_key_and_value() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("workers.toml");
    bare_repository(&folder.path().join("good.git"));
    fs::create_dir(folder.path().join("plain")).unwrap();
    for (path, why) in [
        ("missing", "missing does not exist"),
        ("plain", "plain is not the root of a git repository"),
        ("workers.toml", "workers.toml is not a folder"),
    ] {
        let text = format!("[forge.repositories]\n\"acme/good\" = \"good.git\"\n\"acme/widgets\" = {path:?}\n");
        fs::write(&file, text).unwrap();
        let config = Config::load(Some(&file), &Environment::default()).unwrap();
        let message = config.check_repositories().unwrap_err().to_string();
        let place = format!("{}:3: forge.repositories.\"acme/widgets\" = {path:?}: ", file.display());
        assert!(message.starts_with(&place), "{message}");
        assert!(message.contains(why) && message.contains("expected the root of a git repository"), "{message}");
    }
    fs::write(&file, "[forge.repositories]\n\"acme/good\" = \"good.git\"\n").unwrap();
    Config::load(Some(&file), &Environment::default()).unwrap().check_repositories().unwrap();
}
