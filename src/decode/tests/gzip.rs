use std::io::Write;

use flate2::{Compression, GzBuilder, write::GzEncoder};

use super::super::{DecodeError, GzipFault, Limit};
use super::fixtures::LIST;
use super::{outcome, read, read_within};
use crate::model::{FailureKind, Limits};

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[track_caller]
fn check_members(body: &[u8], members: u32) {
    let (rows, decoded) = read(body).unwrap();
    assert_eq!((rows.len(), decoded.gzip_members), (4, members));
    assert_eq!(decoded.inflated_bytes, LIST[4].len() as u64);
}

fn fault(body: &[u8]) -> GzipFault {
    match read(body) {
        Err(error @ DecodeError::Gzip { fault, .. }) => {
            assert_eq!(error.kind(), FailureKind::Gzip);
            fault
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn members_are_one_stream() {
    let (one, two) = LIST[4].split_at(100);
    check_members(&gzip(LIST[4]), 1);
    check_members(&[gzip(one), gzip(two)].concat(), 2);
    check_members(&[gzip(b""), gzip(one), gzip(b""), gzip(two), gzip(b"")].concat(), 5);
}

#[test]
fn zeros_after_a_member_are_skipped() {
    let (one, two) = LIST[4].split_at(100);
    check_members(&[gzip(LIST[4]), vec![0; 512]].concat(), 1);
    check_members(&[gzip(one), vec![0; 7], gzip(two), vec![0]].concat(), 2);
}

#[test]
fn header_fields_are_skipped() {
    let mut encoder = GzBuilder::new()
        .extra(vec![1, 2, 3])
        .filename("name")
        .comment("comment")
        .mtime(1)
        .write(Vec::new(), Compression::none());
    encoder.write_all(LIST[4]).unwrap();
    check_members(&encoder.finish().unwrap(), 1);
}

#[test]
fn damage_is_the_streams_and_has_a_name() {
    let good = gzip(LIST[4]);
    let changed = |at: usize, bit: u8| {
        let mut body = good.clone();
        body[at] ^= bit;
        body
    };
    let end = good.len();
    assert_eq!(fault(&changed(end - 8, 1)), GzipFault::Checksum);
    assert_eq!(fault(&changed(end - 1, 1)), GzipFault::Length);
    assert_eq!(fault(&changed(2, 1)), GzipFault::Header);
    assert_eq!(fault(&changed(3, 0x80)), GzipFault::Header);
    assert_eq!(fault(&changed(10, 0x06)), GzipFault::Deflate);
    assert_eq!(fault(&[good.as_slice(), b"x"].concat()), GzipFault::TrailingBytes);
    assert_eq!(fault(&[good.as_slice(), b"\0\0x"].concat()), GzipFault::TrailingBytes);
    assert_eq!(fault(&[good.as_slice(), b"\x1f\x8c\x08\0\0\0\0\0\0\0"].concat()), GzipFault::Header);
    for cut in 2..end {
        assert_eq!(fault(&good[..cut]), GzipFault::Truncated, "cut at {cut}");
    }
}

#[test]
fn no_flipped_bit_gives_other_rows() {
    let good = gzip(LIST[2]);
    let rows = outcome(&good);
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut body = good.clone();
            body[at] ^= 1 << bit;
            match read(&body) {
                // Some bits mean nothing: the time, the operating system, what fills the last byte of the data.
                Ok(_) => assert_eq!(outcome(&body), rows, "bit {bit} of byte {at}"),
                // Without its magic the body is no gzip. Otherwise the damage is the stream's, whatever came out of it.
                Err(error) => assert_eq!(error.kind() == FailureKind::Gzip, at > 1, "bit {bit} of byte {at}: {error}"),
            }
        }
    }
}

#[test]
fn nothing_in_gzip_is_an_empty_object() {
    assert_eq!(outcome(&gzip(b"")), "the object is empty");
    assert_eq!(outcome(&[gzip(b""), gzip(b"")].concat()), "the object is empty");
}

#[test]
fn bytes_are_limited() {
    let bomb = gzip(&vec![b'N'; 8 << 20]);
    let exceeded = |limits: Limits| match read_within(&bomb, &limits) {
        Err(error @ DecodeError::LimitExceeded { limit, .. }) => {
            assert_eq!(error.kind(), FailureKind::TooLarge);
            limit
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(exceeded(Limits::default()), Limit::InflateRatio);
    let limits = Limits { inflate_ratio_max: u64::MAX, inflated_bytes_max: 1 << 20, ..Limits::default() };
    assert_eq!(exceeded(limits), Limit::InflatedBytes);
    assert_eq!(exceeded(Limits { object_bytes_max: 100, ..Limits::default() }), Limit::ObjectBytes);
    assert_eq!(
        exceeded(Limits { inflate_ratio_max: u64::MAX, decoder_bytes_max: 1 << 20, ..Limits::default() }),
        Limit::DecoderBytes
    );
}
