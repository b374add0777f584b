# Takes a run in: fenced, one at a time, each token once. Lines starting with ~ answer the panel and are not journalled.
sub answer { print "~@_\n"; exit 0 }

sub submit {
    my ($panel, $fence) = @rest;
    for my $folder ($base, "$base/jobs", "$base/fence") {
        mkdir $folder, 0700 or $! == EEXIST or answer('refused', 'disk', "$folder: $!");
        chmod 0700, $folder;
    }
    my $gate = gate();
    if (!-e "$job/journal") {
        answer('busy', (split ' ', slurp("$base/current") // '-')[0] // '-') if held("$base/lock");
        my ($highest, $owner) = split ' ', slurp("$base/fence/$panel") // '0 -';
        answer('refused', 'fence', $highest) if $fence < $highest || $fence == $highest && $owner ne $token;
        eval { stage(); write_file("$base/fence/$panel", "$fence $token\n", 1); write_file("$job/journal", ''); 1 } or do {
            my $why = $@;
            discard($job);
            answer('refused', 'disk', $why);
        };
        start('run');
    }
    close $gate;
}

# Undoes what an interrupted run had begun; a run that is done, or still going, is only followed.
sub recover {
    answer('unknown') if !-e "$job/journal";
    my $gate = gate();
    if (!held("$job/journal") && slurp("$job/journal") !~ /^done /m) {
        answer('busy', (split ' ', slurp("$base/current") // '-')[0] // '-') if held("$base/lock");
        start('recover');
    }
    close $gate;
}

sub gate {
    open my $gate, '>>', "$base/submit" or answer('refused', 'disk', "$base/submit: $!");
    for (1 .. 400) {
        return $gate if flock $gate, LOCK_EX | LOCK_NB;
        pause(0.05);
    }
    answer('busy', '-');
}

sub stage {
    discard($job);
    mkdir $job, 0700 or die "$job: $!\n";
    while (my $line = <DATA>) {
        my ($name, $content) = split ' ', $line;
        my @folders = split '/', $name;
        pop @folders;
        my $folder = $job;
        mkdir $folder .= "/$_", 0700 for @folders;
        write_file("$job/$name", unbase64($content // ''), !@folders);
    }
    # Given back when the disk is full, so that what happens then can still be written down.
    write_file("$job/reserve", '.' x 65536);
}

# Starts the runner outside this SSH session and waits until it has spoken.
sub start {
    my ($what) = @_;
    my @command = ('perl', "$job/run", $what, $base, $token);
    my $size = -s "$job/journal";
    # Under systemd a session's processes may be killed with it (KillUserProcesses); a unit of its own is not.
    my $started = -d '/run/systemd/system' && system('sh', '-c', 'exec "$@" 2>/dev/null', 'sh', 'systemd-run', '--quiet',
        '--collect', "--unit=fleetpost-$token-$what", '--property=OOMPolicy=continue', @command) == 0;
    detach(@command) if !$started;
    for (1 .. 200) {
        return if -s "$job/journal" > $size;
        pause(0.05);
    }
}

sub detach {
    my $child = fork // answer('refused', 'fork', "$!");
    if ($child) { waitpid $child, 0; return }
    setsid();
    exit 0 if fork // 1;
    open STDIN, '<', '/dev/null';
    open STDOUT, '>', '/dev/null';
    open STDERR, '>>', "$job/errors";
    exec @_;
}
