# What the panel's programs on a server share. Only modules of perl-base, which is essential on Debian and Ubuntu.
use strict;
use warnings;
use Fcntl qw(:DEFAULT :flock SEEK_SET SEEK_END);
use POSIX qw(:errno_h WNOHANG setsid);
use IO::Handle;

umask 077;
$ENV{PATH} = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
$ENV{LC_ALL} = 'C';
$ENV{HOME} = '/root';
our ($mode, $base, $token, @rest) = @ARGV;
our $job = "$base/jobs/$token";

sub slurp {
    my ($path) = @_;
    open my $file, '<', $path or return undef;
    local $/;
    return scalar <$file>;
}

# Seconds that no clock adjustment moves; Time::HiRes is not in perl-base.
sub uptime { return (split ' ', slurp('/proc/uptime'))[0] }

sub boot { my $id = slurp('/proc/sys/kernel/random/boot_id'); $id =~ s/\s//g; return $id }

sub pause { select undef, undef, undef, $_[0] }

# MIME::Base64 is not in perl-base either; uuencode is base64 with another alphabet and a length byte.
sub unbase64 {
    my ($text) = @_;
    my $out = '';
    $text =~ tr#A-Za-z0-9+/##cd;
    $text =~ tr#A-Za-z0-9+/# -_#;
    while ($text =~ /(.{1,60})/gs) {
        my $part = $1;
        $out .= unpack 'u', chr(32 + int(length($part) * 3 / 4)) . $part;
    }
    return $out;
}

# A new file is complete and 0600, or this dies; `durable` also survives a power cut.
sub write_file {
    my ($path, $content, $durable) = @_;
    sysopen my $file, "$path.new", O_WRONLY | O_CREAT | O_TRUNC, 0600 or die "$path: $!\n";
    my $done = 0;
    while ($done < length $content) {
        my $wrote = syswrite $file, $content, length($content) - $done, $done;
        die "$path: $!\n" unless $wrote;
        $done += $wrote;
    }
    !$durable || $file->sync or die "$path: $!\n";
    close $file or die "$path: $!\n";
    rename "$path.new", $path or die "$path: $!\n";
}

# True when somebody holds the file: nobody's lock outlives its process.
sub held {
    my ($path) = @_;
    open my $file, '<', $path or return 0;
    return !flock $file, LOCK_SH | LOCK_NB;
}

sub discard { my @there = grep { -e } @_; system 'rm', '-rf', '--', @there if @there }
