# The detached runner: one at a time, each step within its limit, everything it does in the journal before it is done.
our ($clock, $stop, $journal, $lock) = (0, 0);
our %started;

sub stamp { return sprintf '%.0f', ($clock + uptime()) * 1000 }

# Events must not get lost to a full disk; output may.
sub note {
    my $line = join(' ', @_) . "\n";
    for (1 .. 2) {
        my $wrote = syswrite $journal, $line;
        return 1 if defined $wrote && $wrote == length $line;
        unlink "$job/reserve";
    }
    return 0;
}

sub open_journal {
    open $journal, '>>', "$job/journal" or exit 1;
    flock $journal, LOCK_EX;
    my $text = slurp("$job/journal");
    syswrite $journal, "\n" if $text ne '' && $text !~ /\n\z/;    # torn by a power cut
    return $text;
}

sub take_lock {
    open $lock, '>>', "$base/lock" or return 0;
    for (1 .. 40) {
        return 1 if flock $lock, LOCK_EX | LOCK_NB;
        pause(0.05);
    }
    return 0;
}

sub plan {
    my @steps;
    for (split /\n/, slurp("$job/plan")) {
        my ($limit, $slug, @texts) = split / /, $_, -1;
        my ($title, $do, $undo) = map { unbase64($_) } @texts;
        push @steps, { limit => $limit, slug => $slug, title => $title, do => $do, undo => $undo };
    }
    return @steps;
}

sub run_steps {
    my @steps = @_;
    my $verdict = 'succeeded';
    for my $n (0 .. $#steps) {
        my $step = $steps[$n];
        $verdict = 'cancelled' if $verdict eq 'succeeded' && ($stop || -e "$job/cancel");
        if ($verdict ne 'succeeded') { note('end', $n, stamp(), 'skipped', 0); next }
        # What cannot be written down is not done: an undo would not know about it.
        if (!note('step', $n, stamp(), $step->{slug}, $step->{title})) { $verdict = 'failed'; next }
        $journal->sync;
        my ($status, $unchanged) = shell('out', $n, $step->{do}, $step->{limit});
        $started{$n} = !$unchanged || $status;
        note('end', $n, stamp(), $status ? 'failed' : $unchanged ? 'unchanged' : 'changed', $status);
        $verdict = 'failed' if $status;
    }
    return $verdict;
}

# Puts back, last first, what every step that may have changed something left behind.
sub undo_steps {
    my @steps = @_;
    my $outcome = 'rolled-back';
    $stop = 0;
    for my $n (sort { $b <=> $a } grep { $started{$_} && $steps[$_]{undo} =~ /\S/ } keys %started) {
        note('undo', $n, stamp());
        my ($status) = shell('back', $n, $steps[$n]{undo}, $steps[$n]{limit});
        note('undone', $n, stamp(), $status ? 'failed' : 'ok', $status);
        $outcome = 'left' if $status;
    }
    return $outcome;
}

# Which steps an interrupted run had begun, from its journal.
sub remember {
    for (split /\n/, $_[0]) {
        $started{$1} = 1 if /^step (\d+) /;
        $started{$1} = 0 if /^end (\d+) \d+ unchanged / || /^undone (\d+) \d+ ok /;
    }
}

sub finish {
    my ($verdict, $outcome) = @_;
    discard(map { "$job/$_" } 'files', 'script', 'cancel', 'reserve');
    unlink "$base/current";
    note('done', stamp(), $verdict, $outcome);
    $journal->sync;
}

sub tidy {
    sweep();
    my @jobs = sort { (stat $b)[9] <=> (stat $a)[9] } grep { $_ ne $job } glob "$base/jobs/*";
    discard(map { "$_/files" } @jobs);
    discard(@jobs[19 .. $#jobs]) if @jobs > 19;
}

sub main_run {
    $SIG{HUP} = $SIG{PIPE} = 'IGNORE';
    $SIG{TERM} = $SIG{INT} = sub { $stop = 1 };
    $SIG{CHLD} = sub { };    # interrupts select
    chdir '/';
    $clock = `date +%s.%N` - uptime();
    my $past = open_journal();
    exit 0 if $past =~ /^done /m;
    my @steps = plan();
    note($mode eq 'run' ? 'begin' : 'recover', stamp(), scalar @steps);
    if (!take_lock()) { discard("$job/files"); note('done', stamp(), 'busy', 'none'); exit 0 }
    tidy();
    if ($mode eq 'recover') {
        remember($past);
        finish('interrupted', undo_steps(@steps));
        exit 0;
    }
    my $verdict = run_steps(@steps);
    finish($verdict, $verdict eq 'succeeded' ? 'none' : undo_steps(@steps));
}
