//! Samples of databases, images, infrastructure and workflows.

use super::Case;

pub(super) const CASES: &[Case] = &[
    ("bidirectional-control-character", "data.json", &[], &["{\"a\": \"\u{202E}\"}"]),
    (
        "comparison-with-null",
        "a.sql",
        &["SELECT a FROM t WHERE b = NULL;", "... AND c <> NULL"],
        &["SELECT a FROM t WHERE b IS NULL;", "UPDATE t SET a = NULL WHERE b = 1;", "-- WHERE b = NULL"],
    ),
    (
        "delete-without-condition",
        "a.sql",
        &["DELETE FROM users;"],
        &["DELETE FROM users WHERE id = 1;", "DELETE FROM users\nWHERE id = 1;"],
    ),
    (
        "required-column-without-default",
        "migrations/3.sql",
        &["ALTER TABLE t ADD COLUMN a bigint NOT NULL;"],
        &[
            "ALTER TABLE t ADD COLUMN a bigint NOT NULL DEFAULT 0;",
            "CREATE TABLE t (\n  a bigint NOT NULL,\n  b text\n);",
            "ALTER TABLE t ADD COLUMN a bigint;",
        ],
    ),
    (
        "destructive-migration",
        "migrations/3_trim.sql",
        &["DROP TABLE old_jobs;", "ALTER TABLE t DROP COLUMN a;"],
        &[
            "CREATE TABLE t2 (a int);\nDROP TABLE t;\nALTER TABLE t2 RENAME TO t;",
            "DROP INDEX a;",
            "-- +goose Down\nDROP TABLE t;",
        ],
    ),
    ("destructive-migration", "migrations/3.down.sql", &[], &["DROP TABLE old_jobs;"]),
    (
        "floating-image-tag",
        "Dockerfile",
        &["FROM ubuntu:latest"],
        &["FROM ubuntu:24.04", "FROM build AS run", "FROM scratch"],
    ),
    (
        "floating-image-tag",
        "deploy/web.yaml",
        &["        - image: acme/web:latest"],
        &["        - image: acme/web:1.4"],
    ),
    ("floating-image-tag", "docker-compose.yml", &[], &["    image: acme/web:latest"]),
    (
        "unverified-remote-add",
        "Dockerfile",
        &["ADD https://acme.io/x.tar.gz /x"],
        &["ADD --checksum=sha256:aa https://acme.io/x.tar.gz /x", "ADD src /src"],
    ),
    (
        "container-runs-as-root",
        "Dockerfile",
        &["FROM a:1\nUSER app\nUSER root"],
        &["FROM a:1\nUSER root\nRUN x\nUSER app", "FROM a:1"],
    ),
    ("privileged-container", "deploy/a.yaml", &["          privileged: true"], &["          privileged: false"]),
    (
        "world-writable",
        "a.sh",
        &["chmod -R 777 /srv", "chmod o+w f"],
        &["chmod 755 f", "echo 'chmod 777 x'", "chmod +x f"],
    ),
    ("world-writable", "Dockerfile", &["RUN chmod 777 /app"], &["RUN chmod 0750 /app"]),
    ("world-writable", "a.py", &["os.chmod(p, 0o777)"], &["os.chmod(p, 0o600)"]),
    ("world-writable", "a.go", &["os.Chmod(p, 0o777)"], &["os.MkdirAll(p, 0o777)"]),
    ("world-writable", "src/a.rs", &["Permissions::from_mode(0o777)"], &["Permissions::from_mode(0o700)"]),
    ("world-writable", "a.ts", &["fs.chmodSync(p, 0o777)"], &["fs.chmodSync(p, 0o755)"]),
    (
        "management-port-open",
        "a.tf",
        &["ingress {\n  from_port   = 22\n  to_port     = 22\n  cidr_blocks = [\"0.0.0.0/0\"]\n}"],
        &[
            "ingress {\n  from_port   = 443\n  to_port     = 443\n  cidr_blocks = [\"0.0.0.0/0\"]\n}",
            "egress {\n  from_port   = 22\n  to_port     = 22\n  cidr_blocks = [\"0.0.0.0/0\"]\n}",
        ],
    ),
    (
        "public-storage",
        "a.tf",
        &["  acl = \"public-read\"", "  publicly_accessible = true"],
        &["  acl = \"private\"", "  publicly_accessible = false"],
    ),
    ("unencrypted-storage", "a.tf", &["  storage_encrypted = false"], &["  storage_encrypted = true"]),
    (
        "unlimited-permissions",
        "a.tf",
        &["statement {\n  actions   = [\"*\"]\n  resources = [\"*\"]\n}"],
        &[
            "statement {\n  actions   = [\"s3:Get*\"]\n  resources = [\"*\"]\n}",
            "statement {\n  effect    = \"Deny\"\n  actions   = [\"*\"]\n  resources = [\"*\"]\n}",
        ],
    ),
    (
        "unlimited-permissions",
        "policy.json",
        &["{\n  \"Effect\": \"Allow\",\n  \"Action\": \"*\",\n  \"Resource\": \"*\"\n}"],
        &["{ \"Action\": \"s3:*\", \"Resource\": \"x\" }"],
    ),
    (
        "tls-verification-disabled",
        "a.sh",
        &["curl -k https://acme.io/x", "wget --no-check-certificate https://acme.io"],
        &["curl -fsSL https://acme.io/x", "curl -k https://localhost:8443/", "curl -o k.txt https://acme.io"],
    ),
    ("tls-verification-disabled", "config.yaml", &["insecure_skip_verify: true"], &["insecure_skip_verify: false"]),
    (
        "host-key-check-disabled",
        "a.sh",
        &["ssh -o StrictHostKeyChecking=no host"],
        &["ssh -o StrictHostKeyChecking=yes host"],
    ),
    (
        "host-key-check-disabled",
        "ci.yml",
        &["  - ssh -o StrictHostKeyChecking=no host"],
        &["  - ssh host # -o StrictHostKeyChecking=no"],
    ),
    (
        "download-piped-to-shell",
        "a.sh",
        &["curl -fsSL \"https://acme.io/x.sh\" | sudo bash", "sh -c \"$(curl -fsSL https://acme.io)\""],
        &[
            "curl -fsSL https://acme.io | jq .",
            "echo \"curl https://acme.io | sh\"",
            "curl https://acme.io | sha256sum",
        ],
    ),
    (
        "download-piped-to-shell",
        ".github/workflows/ci.yml",
        &["      - run: curl -fsSL https://acme.io | sh"],
        &["      - run: curl -fsSL https://acme.io -o x"],
    ),
    (
        "delete-below-variable",
        "a.sh",
        &["rm -rf \"$DIR\"/*", "rm -rf $DIR/", "rm -rf /"],
        &[
            "rm -rf \"$DIR\"",
            "rm -rf \"${DIR:?}\"/*",
            "set -euo pipefail\nrm -rf $DIR/*",
            "rm -rf /var/cache/x",
            "rm -f x",
        ],
    ),
    (
        "workflow-runs-foreign-code",
        ".github/workflows/ci.yml",
        &[
            "on: pull_request_target\njobs:\n  a:\n    steps:\n      - uses: actions/checkout@v4\n        with:\n          ref: ${{ github.event.pull_request.head.sha }}",
        ],
        &[
            "on: pull_request\njobs:\n  a:\n    steps:\n      - uses: actions/checkout@v4\n        with:\n          ref: ${{ github.event.pull_request.head.sha }}",
        ],
    ),
    (
        "workflow-script-injection",
        ".github/workflows/ci.yml",
        &[
            "      - run: echo ${{ github.event.issue.title }}",
            "      - run: |\n          a\n          echo \"${{ github.head_ref }}\"",
        ],
        &[
            "      - env:\n          TITLE: ${{ github.event.issue.title }}\n        run: echo \"$TITLE\"",
            "      - run: echo ${{ github.event.issue.number }}",
        ],
    ),
    (
        "workflow-action-on-branch",
        ".github/workflows/ci.yml",
        &["      - uses: acme/setup@main"],
        &["      - uses: acme/setup@v2", "      - uses: ./local"],
    ),
    (
        "workflow-may-write-everything",
        ".github/workflows/ci.yml",
        &["permissions: write-all"],
        &["permissions: read-all"],
    ),
    (
        "environment-file-added",
        ".env.production",
        &["PORT=1\nSESSION_SECRET=kRq9zLmWvT\n"],
        &["PORT=8080\nSESSION_SECRET=", "API_KEY=changeme-please"],
    ),
    ("environment-file-added", ".env.example", &[], &["SESSION_SECRET=kRq9zLmWvT"]),
    (
        "bidirectional-control-character",
        "src/a.rs",
        &["let a = \"x\u{202E} y\";", "/* \u{2066} */ f();"],
        &["let a = \"é\";"],
    ),
    ("bidirectional-control-character", "locale/he.po", &[], &["msgstr \"\u{202B}x\u{202C}\""]),
    ("invisible-character", "a.ts", &["const a\u{200B}b = 1;"], &["const a = 'x\u{200D}y';", "\u{FEFF}const a = 1;"]),
    ("mixed-alphabet-name", "a.py", &["p\u{0430}ssword = 1"], &["\u{043F}\u{0430}\u{0440} = 1", "x = 'p\u{0430}'"]),
];
