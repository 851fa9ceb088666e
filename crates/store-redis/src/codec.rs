//! The bytes of records, the same as the scripts read and write: numbers with their lowest byte first, texts behind their length.

use job::{Job, JobId};
use store::{NewJob, StoreError, units};
use uuid::Uuid;

/// Places in a job's record, before its texts: see `RECORD` in `lua/prelude.lua`.
pub(crate) const RECORD_TEXTS_AT: usize = 67;

/// Writes bytes.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn u8(mut self, n: u8) -> Self {
        self.0.push(n);
        self
    }

    pub(crate) fn u16(mut self, n: u16) -> Self {
        self.0.extend(n.to_le_bytes());
        self
    }

    pub(crate) fn u32(mut self, n: u32) -> Self {
        self.0.extend(n.to_le_bytes());
        self
    }

    pub(crate) fn i64(mut self, n: i64) -> Self {
        self.0.extend(n.to_le_bytes());
        self
    }

    /// A number that the scripts calculate with. They know floating-point numbers alone, which are exact up to 2^53; in
    /// milliseconds that is beyond all times there are, and a longer duration is as good as any.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds are exact as far as times go")]
    pub(crate) fn number(mut self, n: i64) -> Self {
        self.0.extend((n as f64).to_le_bytes());
        self
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    /// A text of at most 255 bytes.
    pub(crate) fn short(self, text: &str) -> Self {
        self.u8(u8::try_from(text.len()).unwrap_or(u8::MAX)).raw(text.as_bytes())
    }

    /// A text of at most 65,535 bytes.
    pub(crate) fn text(self, text: &str) -> Self {
        self.u16(u16::try_from(text.len()).unwrap_or(u16::MAX)).raw(text.as_bytes())
    }

    pub(crate) fn done(self) -> Vec<u8> {
        self.0
    }
}

/// Reads bytes.
#[derive(Debug)]
pub(crate) struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    pub(crate) const fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn raw(&mut self, count: usize) -> Result<&'b [u8], StoreError> {
        let (now, rest) = self.0.split_at_checked(count).ok_or_else(cut)?;
        self.0 = rest;
        Ok(now)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        self.raw(N)?.try_into().map_err(|_| cut())
    }

    pub(crate) fn u8(&mut self) -> Result<u8, StoreError> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, StoreError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn i16(&mut self) -> Result<i16, StoreError> {
        self.array().map(i16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, StoreError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, StoreError> {
        self.array().map(i64::from_le_bytes)
    }

    /// A number that the scripts calculate with.
    #[expect(clippy::cast_possible_truncation, reason = "they are whole, and what is out of bounds is cut")]
    pub(crate) fn number(&mut self) -> Result<i64, StoreError> {
        self.array().map(|bytes| f64::from_le_bytes(bytes) as i64)
    }

    pub(crate) fn uuid(&mut self) -> Result<Uuid, StoreError> {
        self.array().map(Uuid::from_bytes)
    }

    pub(crate) fn short(&mut self) -> Result<&'b str, StoreError> {
        let bytes = self.u8()?;
        self.str(bytes.into())
    }

    pub(crate) fn text(&mut self) -> Result<&'b str, StoreError> {
        let bytes = self.u16()?;
        self.str(bytes.into())
    }

    fn str(&mut self, bytes: usize) -> Result<&'b str, StoreError> {
        std::str::from_utf8(self.raw(bytes)?).map_err(crate::error::corrupt("a text"))
    }

    /// All that is left.
    pub(crate) fn rest(&mut self) -> Result<&'b str, StoreError> {
        self.str(self.0.len())
    }
}

fn cut() -> StoreError {
    StoreError::Corrupt { what: "a record", source: "it is cut short".into() }
}

/// What of a job never changes and scripts need: the last part of its record, `SPEC` in `lua/storing.lua`.
pub(crate) fn spec(writer: Writer, job: &NewJob) -> Writer {
    let key = job.concurrency.as_ref().map_or("", |concurrency| concurrency.key.as_str());
    let (unique, window) = job.unique.as_ref().map_or(("", 0), |u| (u.key.as_str(), units::millis(u.window)));
    let writer = writer.short(job.kind.as_str()).text(key).text(unique).number(window);
    match &job.supersede {
        None => writer.text("").number(0).text(""),
        Some(supersede) => writer
            .text(supersede.key.as_str())
            .number(supersede.version.at.as_millisecond())
            .text(supersede.version.id.as_str()),
    }
}

/// The rest of a job, which no script reads: queue, class, attempts, timeout, trace and payload.
pub(crate) fn body(job: &NewJob) -> Vec<u8> {
    let class = job.concurrency.as_ref().map_or("", |concurrency| concurrency.class.as_str());
    let writer = Writer(Vec::with_capacity(job.payload.as_str().len() + 64));
    let writer = writer.short(job.queue.as_str()).short(class).u32(job.max_attempts).i64(units::millis(job.timeout));
    // A trace has any length, and is most often none.
    let trace = job.trace_parent.as_deref();
    let writer = writer.u32(trace.map_or(0, |t| u32::try_from(t.len()).unwrap_or(u32::MAX - 1) + 1));
    writer.raw(trace.unwrap_or("").as_bytes()).raw(job.payload.as_str().as_bytes()).done()
}

/// An id, as it stands in every key and record.
pub(crate) fn id(id: &JobId) -> &[u8; 16] {
    id.as_uuid().as_bytes()
}

/// Ids that stand one behind the other.
pub(crate) fn ids(bytes: &[u8]) -> Vec<JobId> {
    let ids = bytes.chunks_exact(16).filter_map(|id| Uuid::from_slice(id).ok());
    ids.map(JobId::from).collect()
}

/// Numbers that stand one behind the other.
pub(crate) fn numbers(bytes: &[u8]) -> Vec<i64> {
    bytes.chunks_exact(8).map(|n| Reader::new(n).number().unwrap_or(0)).collect()
}

/// A job, and what only the store knows of it, of its record and body.
pub(crate) struct Stored {
    pub(crate) job: Job,
    pub(crate) reason: u8,
    /// Whether it has checkpoints.
    pub(crate) has_steps: bool,
    /// When it began to wait, is due, or ended: by its state.
    pub(crate) at_ms: i64,
    /// When its last attempt started; 0 when none has.
    pub(crate) leased_at_ms: i64,
}
