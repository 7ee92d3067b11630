//! Where things are on the partition. Fixed for good: every version must find them.

/// Bytes that one copy of the map may take, header included.
pub const COPY_SIZE: u64 = 4 << 20;

/// Where the two copies begin.
pub const COPIES_AT: [u64; 2] = [0, COPY_SIZE];

/// Where the ring of boot records begins.
pub const RECORDS_AT: u64 = 8 << 20;

/// Bytes of one boot record: two halves, written in turn.
pub const RECORD_SIZE: u64 = 1 << 20;

/// Bytes of a half.
pub const HALF_SIZE: u64 = RECORD_SIZE / 2;

/// Boots that are remembered.
pub const RECORDS: u64 = 8;

/// Bytes that the partition has at least.
pub const PARTITION_SIZE: u64 = RECORDS_AT + RECORDS * RECORD_SIZE;
