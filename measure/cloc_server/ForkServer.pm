# A fork server for a Perl program: `perl -I FOLDER -MForkServer PROGRAM FD`.
#
# For small inputs, a large program spends most of its time in being compiled. An INIT block runs
# when that is done and before the program itself begins. This one waits there for requests, and
# each run is a fork from that point: the program's own code, as if it had just been compiled.
#
# FD is a listening socket. A request is four bytes that tell its length, and as many bytes of
# fields with NULs between them: the seconds that the run may take, its folder, the number of its
# arguments, these, and its environment as NAME=VALUE. The answer is the run's stdout, a NUL,
# the end of its stderr, a NUL and how it ended: its exit code, minus the signal that ended it, or
# `timeout`. A client that hangs up ends the run.

package ForkServer;

use strict;
use warnings;

use IO::Handle;
use POSIX qw(EINTR WNOHANG);
use Time::HiRes qw(setitimer time ITIMER_PROF);

# Seconds; a signal that comes just ahead of a wait does not end it.
use constant POLL => 0.1;

use constant STDERR_KEPT => 64 * 1024;

INIT { serve(shift @ARGV) }

# Return in the process of each run; never in the server's own.
sub serve {
    my ($number) = @_;
    open(my $listener, '+<&=', $number) or die "no socket: $!\n";
    local $SIG{CHLD} = \&reap;
    while (1) {
        my ($over, $asked) = await(undef, \*STDIN, $listener);
        leave() if $over;    # the process that started this server has ended
        next if !$asked || !accept(my $client, $listener);
        my $guard = fork;
        if (defined $guard && $guard == 0) {
            close $listener;
            return if guard($client);
        }
    }
}

# Keep one run within its limits, in a process that the run cannot reach.
sub guard {
    my ($client) = @_;
    my ($seconds, $folder, @rest) = request($client);
    my ($stopped, $gone, $late);
    local $SIG{CHLD} = sub { };    # ends a wait
    local @SIG{qw(HUP INT TERM)} = (sub { $stopped = 1 }) x 3;
    pipe(my $errors, my $written) or POSIX::_exit(1);
    my $run = fork // POSIX::_exit(1);
    if ($run == 0) {
        close $errors;
        begin($client, $written, $seconds, $folder, @rest);
        return 1;
    }
    close $written;
    $errors->blocking(0);
    my $stderr = '';
    setpgrp $run, $run;    # as the run does itself, whoever is first
    my $deadline = time + $seconds;
    until (waitpid($run, WNOHANG)) {
        $late = time >= $deadline;
        if ($stopped || $gone || $late) {
            kill KILL => -$run;
            waitpid $run, 0;
            last;
        }
        ($gone, my $told) = await(POLL, $client, $errors);
        $errors = undef if $told && !keep_end(\$stderr, $errors);
    }
    my $status = $?;
    kill KILL => -$run;    # what it has started and left behind
    1 while $errors && keep_end(\$stderr, $errors);
    $stderr =~ tr/\0/?/;
    my $signal = $stopped ? POSIX::SIGTERM : $status & 127;
    my $how = $late ? 'timeout' : $signal ? -$signal : $status >> 8;
    put($client, "\0$stderr\0$how") if !$gone;
    POSIX::_exit(0);
}

# Read what has come; false at the end, or when nothing more is there now.
sub keep_end {
    my ($text, $handle) = @_;
    sysread($handle, $$text, STDERR_KEPT, length $$text) or return;
    $$text = substr $$text, -STDERR_KEPT() if length $$text > STDERR_KEPT;
    return 1;
}

sub begin {
    my ($client, $written, $seconds, $folder, $arguments, @environment) = @_;
    setpgrp;
    # Should the guard be killed: the default answer to the timer's signal is to end.
    setitimer(ITIMER_PROF, $seconds);
    @ARGV = splice @environment, 0, $arguments;
    %ENV = map { split /=/, $_, 2 } @environment;
    chdir $folder or POSIX::_exit(1);
    open(STDIN,  '<',  '/dev/null') or POSIX::_exit(1);
    open(STDOUT, '>&', $client)     or POSIX::_exit(1);
    open(STDERR, '>&', $written)    or POSIX::_exit(1);
}

sub request {
    my ($client) = @_;
    my $length = unpack 'N', take($client, 4);
    return split /\0/, take($client, $length);
}

sub take {
    my ($client, $length) = @_;
    my $taken = '';
    while (length $taken < $length) {
        sysread($client, $taken, $length - length $taken, length $taken) or POSIX::_exit(1);
    }
    return $taken;
}

sub put {
    my ($client, $text) = @_;
    my $done = 0;
    while ($done < length $text) {
        my $written = syswrite $client, $text, length($text) - $done, $done;
        return if !defined $written && $! != EINTR;
        $done += $written // 0;
    }
}

# Tell which of some handles can be read, waiting for so many seconds; a signal ends the wait.
# Handles that are undef cannot.
sub await {
    my ($seconds, @handles) = @_;
    my $ready = '';
    vec($ready, fileno $_, 1) = 1 for grep { defined } @handles;
    return if select($ready, undef, undef, $seconds) < 1;
    return map { defined && vec $ready, fileno $_, 1 } @handles;
}

sub reap {
    local ($!, $?);
    1 while waitpid(-1, WNOHANG) > 0;
}

# End when all runs have ended, so that their CPU time is in this process's account.
sub leave {
    1 while waitpid(-1, 0) > 0;
    POSIX::_exit(0);
}

1;
