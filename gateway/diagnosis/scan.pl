# Tries every address and port at once and waits once. perl-base is all it takes.
# Addresses "?" are looked up here, two of each family at most, and a greeting name "" too.
# Prints "R ms" when the name was looked up, "N words" for a name without address, else for each try "P address port state ms greeting offers tls words",
# the texts in hex.
use strict;
use warnings;
use Socket qw(:all);
use Fcntl;
use POSIX qw(:errno_h);

$SIG{PIPE} = 'IGNORE';
my ($wait, $name, $helo, $hello, $addresses, @ports) = @ARGV;
my $now = eval { require Time::HiRes; \&Time::HiRes::time } || sub { time };
my $start = $now->();
if ($addresses eq '' || $addresses eq '?') {
    my ($error, @found) = getaddrinfo($name, '', { socktype => SOCK_STREAM });
    print 'R ', int(1000 * ($now->() - $start)), "\n";
    $addresses = $addresses eq '?' ? join ',', spread(@found) : '';
    if ($addresses eq '') {
        print 'N ', ($error || 'No address associated with hostname'), "\n";
        exit;
    }
}
if ($helo eq '') {
    ($helo) = qx(timeout 5 hostname -f 2>/dev/null) =~ /^((?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z0-9-]{1,63})$/;
    $helo ||= 'localhost.localdomain';
}
$start = $now->();
my @tries;
for my $address (split /,/, $addresses) {
    my $six = $address =~ /:/;
    my $packed = inet_pton($six ? AF_INET6 : AF_INET, $address) or next;
    for (@ports) {
        my ($port, $mode) = split /:/;
        my $try = {
            address => $address, port => $port, mode => $mode, state => 'silent', ms => 0, again => 0,
            in => '', greeting => '', offers => '', tls => 0, words => '', step => 'connect', asked => 0,
            family => $six ? PF_INET6 : PF_INET,
            to => $six ? pack_sockaddr_in6($port, $packed) : pack_sockaddr_in($port, $packed),
        };
        push @tries, $try;
        begin($try);
    }
}

while (my @open = grep { $_->{step} ne 'done' } @tries) {
    my $past = $now->() - $start;
    last if $past >= $wait;
    my ($in, $out) = ('', '');
    for my $try (@open) {
        # What says nothing in clear text may be waiting for TLS.
        ask_tls($try) if $try->{step} eq 'greeting' && $try->{in} eq '' && !$try->{asked} && $past > $wait / 2;
        vec($try->{step} eq 'connect' ? $out : $in, fileno $try->{socket}, 1) = 1;
    }
    select $in, $out, undef, 0.1;
    for my $try (@open) {
        my $bit = fileno $try->{socket};
        connected($try) if vec $out, $bit, 1;
        heard($try) if vec $in, $bit, 1;
    }
}
for my $try (@tries) {
    my @texts = map { unpack 'H*', substr $_, 0, 2000 } @$try{qw(greeting offers words)};
    print join(' ', 'P', @$try{qw(address port state ms)}, "g$texts[0]", "o$texts[1]", $try->{tls}, "w$texts[2]"), "\n";
}

sub spread {
    my (%seen, %count);
    my @texts = map { (getnameinfo($_->{addr}, NI_NUMERICHOST))[1] } @_;
    return grep { defined && !$seen{$_}++ && ++$count{/:/ ? 6 : 4} <= 2 } @texts;
}

sub begin {
    my ($try) = @_;
    $try->{socket} = undef;
    socket $try->{socket}, $try->{family}, SOCK_STREAM, IPPROTO_TCP or return refused($try, $! + 0);
    fcntl $try->{socket}, F_SETFL, O_NONBLOCK | fcntl $try->{socket}, F_GETFL, 0;
    connect $try->{socket}, $try->{to} or $! == EINPROGRESS or refused($try, $! + 0);
}

sub connected {
    my ($try) = @_;
    my $error = unpack 'i', getsockopt $try->{socket}, SOL_SOCKET, SO_ERROR;
    return refused($try, $error) if $error;
    @$try{qw(state step ms)} = ('open', 'greeting', int(1000 * ($now->() - $start)));
    ask_tls($try) if $try->{mode} eq 'tls';
}

sub ask_tls {
    my ($try) = @_;
    $try->{asked} = 1;
    syswrite $try->{socket}, pack 'H*', $hello;
}

sub heard {
    my ($try) = @_;
    my $count = sysread $try->{socket}, my $data, 4096;
    return if !defined $count && ($! == EAGAIN || $! == EINTR);
    if (!$count) {
        $try->{greeting} ||= $try->{in};
        return done($try);
    }
    $try->{in} .= $data;
    # A TLS record: handshake or alert, version 3.
    if ($try->{step} eq 'greeting' && $try->{asked} && $try->{in} =~ /^[\x15\x16]\x03/) {
        $try->{tls} = 1;
        return done($try);
    }
    my $whole = $try->{in} =~ /^\d{3}(?: [^\n]*)?\r?\n\z/m;
    return done($try, keep($try)) if length $try->{in} > 16384;
    return if !$whole;
    keep($try);
    return done($try) if $try->{step} eq 'hello' || $try->{greeting} !~ /^220/;
    # It took the TLS hello for a command: what it offers in clear text takes a connection of its own.
    return in_clear($try) if $try->{asked};
    @$try{qw(step in)} = ('hello', '');
    syswrite $try->{socket}, "EHLO $helo\r\n";
}

sub in_clear {
    my ($try) = @_;
    return done($try) if $try->{again}++;
    close $try->{socket};
    @$try{qw(mode step in asked)} = ('plain', 'connect', '', 0);
    begin($try);
}

sub keep {
    my ($try) = @_;
    $try->{ $try->{step} eq 'hello' ? 'offers' : 'greeting' } = $try->{in};
}

sub refused {
    my ($try, $error) = @_;
    return $try->{step} = 'done' if $try->{again};  # it answered a moment ago
    $try->{ms} = int(1000 * ($now->() - $start));
    $try->{state} = $error == ECONNREFUSED || $error == ECONNRESET ? 'refused'
        : $error == ETIMEDOUT ? 'silent' : 'unreachable';
    $! = $error;
    $try->{words} = "$!";
    $try->{step} = 'done';
}

sub done {
    my ($try) = @_;
    syswrite $try->{socket}, "QUIT\r\n" if $try->{step} eq 'hello';
    close $try->{socket};
    $try->{step} = 'done';
}
