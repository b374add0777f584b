# Prints the journal from a byte offset, complete lines only, until the run is done or its runner is gone.
sub follow {
    my ($offset) = @_;
    open my $journal, '<', "$job/journal" or answer('unknown');
    sysseek $journal, $offset, SEEK_SET;
    $| = 1;
    my ($rest, $beat, $dead) = ('', uptime(), 0);
    while (1) {
        my $got = sysread $journal, my $chunk, 65536;
        if ($got) {
            $rest .= $chunk;
            my $end = rindex($rest, "\n") + 1;
            my $whole = substr $rest, 0, $end, '';
            print $whole;
            exit 0 if $whole =~ /^done [^\n]*\n\z/m;
            next;
        }
        # Read once more after the runner was found gone: it may have written just before it went.
        interrupted() if $dead;
        if (gone()) { $dead = 1; next }
        if (uptime() - $beat >= 5) { $beat = uptime(); print "~beat\n" }
        pause(0.05);
    }
}

# A journal without its first line belongs to a runner that is still being started, for a while.
sub gone {
    return 0 if held("$job/journal");
    return -s "$job/journal" || time - (stat "$job/journal")[9] > 15;
}

sub interrupted {
    discard("$job/files");
    answer('interrupted');
}
