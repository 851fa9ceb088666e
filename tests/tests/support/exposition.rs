use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

/// A document in Prometheus' text format 0.0.4, read more strictly than Prometheus does: every family has help and type,
/// stands in one piece, and keeps the format's conventions.
#[derive(Debug)]
pub struct Exposition(BTreeMap<String, Family>);

#[derive(Debug, Default)]
pub struct Family {
    pub help: String,
    pub kind: String,
    pub samples: BTreeMap<Series, f64>,
}

/// A sample's name and labels.
pub type Series = (String, BTreeMap<String, String>);

impl Exposition {
    /// Reads a document, or says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let whole = text.strip_suffix('\n').ok_or("the last line has no end")?;
        let mut families: BTreeMap<String, Family> = BTreeMap::new();
        let mut current: Option<String> = None;
        for line in whole.split('\n').filter(|line| !line.is_empty()) {
            let fault = |why: &str| format!("{why}: {line:?}");
            if let Some(comment) = line.strip_prefix("# ") {
                let mut words = comment.splitn(3, ' ');
                let mut word = || words.next().ok_or_else(|| fault("too short"));
                let (what, name, value) = (word()?, word()?, word()?);
                if current.as_deref() != Some(name) && families.contains_key(name) {
                    return Err(fault("the family stands in two places"));
                }
                let family = families.entry(name.to_owned()).or_default();
                current = Some(name.to_owned());
                let field = match what {
                    "HELP" => &mut family.help,
                    "TYPE" => &mut family.kind,
                    _ => return Err(fault("neither help nor type")),
                };
                if !field.is_empty() || !family.samples.is_empty() {
                    return Err(fault("comes twice, or after samples"));
                }
                value.clone_into(field);
            } else {
                let name = current.as_ref().ok_or_else(|| fault("belongs to no family"))?;
                let family = families.get_mut(name).ok_or_else(|| fault("belongs to no family"))?;
                let (series, value) = sample(line).ok_or_else(|| fault("no sample"))?;
                if !family.may_have(name, &series) {
                    return Err(fault("not of this family"));
                }
                if family.samples.insert(series, value).is_some() {
                    return Err(fault("comes twice"));
                }
            }
        }
        families.iter().try_for_each(|(name, family)| family.check(name))?;
        Ok(Self(families))
    }

    pub fn families(&self) -> impl Iterator<Item = (&str, &Family)> {
        self.0.iter().map(|(name, family)| (name.as_str(), family))
    }

    /// All series, without their values.
    pub fn series(&self) -> BTreeSet<&Series> {
        self.0.values().flat_map(|family| family.samples.keys()).collect()
    }

    /// The value of a sample by its name and all its labels.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect();
        let series = (name.to_owned(), labels);
        self.0.values().find_map(|family| family.samples.get(&series).copied())
    }
}

impl Family {
    fn may_have(&self, name: &str, (sample, labels): &Series) -> bool {
        match (self.kind.as_str(), sample.strip_prefix(name)) {
            ("counter" | "gauge", Some("")) | ("histogram", Some("_sum" | "_count")) => !labels.contains_key("le"),
            ("histogram", Some("_bucket")) => labels.contains_key("le"),
            _ => false,
        }
    }

    fn check(&self, name: &str) -> Result<(), String> {
        if self.help.is_empty() || self.kind.is_empty() || self.samples.is_empty() {
            return Err(format!("{name} has no help, no type or no sample"));
        }
        if (self.kind == "counter") != name.ends_with("_total") {
            return Err(format!("{name} is a {}: counters, and they alone, end in _total", self.kind));
        }
        match self.kind.as_str() {
            "counter" if self.samples.values().any(|v| !v.is_finite() || *v < 0.0) => {
                Err(format!("{name} counts what cannot be"))
            }
            "histogram" => self.check_buckets(name),
            _ => Ok(()),
        }
    }

    /// Buckets grow with their bound, and the last one holds all that was counted.
    fn check_buckets(&self, name: &str) -> Result<(), String> {
        let mut histograms: BTreeMap<BTreeMap<String, String>, Vec<(f64, f64)>> = BTreeMap::new();
        for ((sample, labels), value) in &self.samples {
            let mut others = labels.clone();
            let bound = others.remove("le");
            let buckets = histograms.entry(others.clone()).or_default();
            if let Some(bound) = bound {
                let bound = number(&bound).ok_or_else(|| format!("{name} has a bucket up to {bound}"))?;
                buckets.push((bound, *value));
            }
            let has = |suffix: &str| self.samples.contains_key(&(format!("{name}{suffix}"), others.clone()));
            if !has("_sum") || !has("_count") {
                return Err(format!("{name}: {sample} has no sum or no count beside it"));
            }
        }
        for (labels, mut buckets) in histograms {
            buckets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
            let count = self.samples[&(format!("{name}_count"), labels.clone())];
            let grows = buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1);
            if !grows || buckets.last().is_none_or(|(bound, all)| bound.is_finite() || all.total_cmp(&count).is_ne()) {
                return Err(format!("{name} {labels:?} has buckets that cannot be: {buckets:?}, {count} in all"));
            }
        }
        Ok(())
    }
}

/// `name{label="value",…} number`, without a time.
fn sample(line: &str) -> Option<(Series, f64)> {
    let whole = Regex::new(r#"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[^"]|"(?:[^"\\]|\\.)*")*)\})? ([^ ]+)$"#).unwrap();
    let label = Regex::new(r#"^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)"#).unwrap();
    let parts = whole.captures(line)?;
    let mut labels = BTreeMap::new();
    let mut rest = parts.get(2).map_or("", |labels| labels.as_str());
    while !rest.is_empty() {
        let found = label.captures(rest)?;
        if labels.insert(found[1].to_owned(), found[2].to_owned()).is_some() {
            return None;
        }
        rest = &rest[found[0].len()..];
    }
    Some(((parts[1].to_owned(), labels), number(&parts[3])?))
}

fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        // Rust reads words such as "infinity" too, which Prometheus' format does not have.
        _ if text.contains(|c: char| c.is_alphabetic() && c != 'e' && c != 'E') => None,
        _ => text.parse().ok(),
    }
}
