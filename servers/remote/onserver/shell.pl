# One step's shell text: its own session, its limit, its output line by line into the journal.
our ($kept, $tail, $lost, $pending, $unchanged);
use constant { HEAD => 192 * 1024, TAIL => 8 * 1024 };

sub shell {
    my ($word, $n, $text, $limit) = @_;
    ($kept, $tail, $lost, $pending, $unchanged) = (0, '', 0, '', 0);
    unlink "$job/script";
    eval { write_file("$job/script", $text); 1 } or do { note($word, $n, $@ =~ s/\n//r); return (74, 0) };
    pipe my $out, my $in or return (71, 0);
    my $runner = $$;
    my $child = fork;
    if (!defined $child) { note($word, $n, "fork: $!"); return (71, 0) }
    if (!$child) { begin_shell($in, $n, $runner) }
    close $in;
    my $status = drain($word, $n, $out, $child, uptime() + $limit, $limit);
    take($word, $n, '', 1);
    unlink "$job/script";
    return ($status, $unchanged);
}

sub begin_shell {
    my ($in, $n, $runner) = @_;
    setsid();
    # Registered before it does anything, and by itself: a runner killed in between leaves no orphan that nobody knows.
    eval { write_file("$base/current", "$token $$ " . boot() . "\n") };
    POSIX::_exit(75) if getppid() != $runner;
    $SIG{$_} = 'DEFAULT' for qw(HUP PIPE TERM INT CHLD);
    open STDIN, '<', '/dev/null';
    open STDOUT, '>&', $in;
    open STDERR, '>&', $in;
    umask 022;
    @ENV{qw(FILES FLEETPOST_RUN)} = ("$job/files/$n", $token);
    exec 'sh', '-eu', "$job/script" or POSIX::_exit(127);
}

# Reads until the shell has ended; a daemon it left behind may hold the pipe open for ever.
sub drain {
    my ($word, $n, $out, $child, $deadline, $limit) = @_;
    my ($status, $open, $grace) = (undef, 1, 0);
    while (1) {
        my $bits = '';
        vec($bits, fileno $out, 1) = 1 if $open;
        my $ready = select $bits, undef, undef, 0.1;
        if ($open && $ready > 0) {
            my $got = sysread $out, my $chunk, 65536;
            $got ? take($word, $n, $chunk, 0) : defined $got ? ($open = 0) : 0;
            next if $got && uptime() <= $deadline;
        }
        if (!defined $status && waitpid($child, WNOHANG) == $child) {
            $status = $? & 127 ? 128 + ($? & 127) : $? >> 8;
            $grace = uptime() + 0.3;
        }
        last if defined $status && (!$open || uptime() > $grace);
        next if defined $status || (uptime() <= $deadline && !$stop);
        end_session($child, '');
        waitpid $child, 0;
        print_lines($word, $n, 1);
        take($word, $n, $stop ? "ended: the runner was told to stop\n" : "ended after its limit of $limit s\n", 0);
        return $stop ? 143 : 124;
    }
    return $status;
}

# Keeps the first HEAD and the last TAIL bytes; the rest is read so that nobody gets SIGPIPE, and counted.
sub take {
    my ($word, $n, $chunk, $last) = @_;
    if ($kept < HEAD) {
        my $part = substr $chunk, 0, HEAD - $kept, '';
        $kept += length $part;
        $pending .= $part;
        print_lines($word, $n, $last && $tail eq '');
    }
    $tail .= $chunk;
    my $surplus = length($tail) - TAIL;
    if ($surplus > 0) { $lost += $surplus; substr $tail, 0, $surplus, '' }
    return if !$last || $tail eq '';
    $pending .= $lost ? "\n[$lost bytes left out]\n$tail" : $tail;
    print_lines($word, $n, 1);
}

sub print_lines {
    my ($word, $n, $last) = @_;
    my $lines = '';
    $pending =~ s/\r\n?/\n/g;
    while ($pending =~ s/\A([^\n]{0,1000})\n// || $pending =~ s/\A([^\n]{1000})//
        || $last && $pending =~ s/\A([^\n]+)//) {
        my $line = $1;
        if ($line eq '::unchanged') { $unchanged = 1; next }
        $line =~ tr/\000-\010\013-\037\177//d;
        $lines .= "$word $n $line\n";
    }
    syswrite $journal, $lines if $lines ne '';
}

sub members {
    my ($session, $owner) = @_;
    my @found;
    for my $folder (glob '/proc/[0-9]*') {
        my $stat = slurp("$folder/stat") // next;
        my ($state, undef, undef, $sid) = split ' ', $stat =~ s/.*\) //sr;
        next if $sid != $session || $state =~ /[ZX]/;
        # A recycled session id belongs to somebody else; our steps carry their run in the environment.
        next if $owner ne '' && (slurp("$folder/environ") // '') !~ /(?:\A|\0)FLEETPOST_RUN=\Q$owner\E\0/;
        push @found, $folder =~ s#.*/##r;
    }
    return @found;
}

sub end_session {
    my ($session, $owner) = @_;
    for my $signal (('TERM') x 25, ('KILL') x 25) {
        my @alive = members($session, $owner) or return;
        kill $signal, @alive;
        pause(0.2);
    }
}

# A runner that was killed leaves its step behind: two writers at once are worse than half a step.
sub sweep {
    my ($owner, $session, $when) = split ' ', slurp("$base/current") // '';
    end_session($session, $owner) if $session && $when eq boot();
    unlink "$base/current";
}
