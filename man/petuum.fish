# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_petuum_global_optspecs
    string join \n h/help V/version
end

function __fish_petuum_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_petuum_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_petuum_using_subcommand
    set -l cmd (__fish_petuum_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c petuum -n "__fish_petuum_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c petuum -n "__fish_petuum_needs_command" -s V -l version -d 'Print version'
complete -c petuum -n "__fish_petuum_needs_command" -f -a "dml" -d 'Distance metrics: similar examples near, dissimilar ones apart'
complete -c petuum -n "__fish_petuum_needs_command" -f -a "dnn" -d 'Neural networks: classes or numbers from features'
complete -c petuum -n "__fish_petuum_needs_command" -f -a "lasso" -d 'Sparse linear and logistic regression: lasso and elastic net'
complete -c petuum -n "__fish_petuum_needs_command" -f -a "lda" -d 'Topic models: latent Dirichlet allocation'
complete -c petuum -n "__fish_petuum_needs_command" -f -a "mf" -d 'Matrix factorisation: recommendations from ratings'
complete -c petuum -n "__fish_petuum_needs_command" -f -a "predict" -d 'Use a saved model: predictions for further data, as csv on standard output'
complete -c petuum -n "__fish_petuum_needs_command" -f -a "convert" -d 'Turn data into a binary file that later runs map into memory'
complete -c petuum -n "__fish_petuum_needs_command" -f -a "generate" -d 'Write synthetic data with a known truth'
complete -c petuum -n "__fish_petuum_needs_command" -f -a "completions" -d 'Print the completion script of a shell'
complete -c petuum -n "__fish_petuum_needs_command" -f -a "man" -d 'Write the man pages'
complete -c petuum -n "__fish_petuum_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l format -d 'The examples\' format: libsvm, csv, matrix-market, npy or idx [default: guessed]' -r
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l target-column -d 'The column of the target in csv: first, last, none, its number from 1 or its name' -r
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l targets -l labels -d 'File with the targets or labels: one a line, or an array (NumPy, Matrix Market, idx)' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l weight-column -d 'The column of csv that holds the examples\' weights: its number from 1 or its name' -r
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l weights -d 'File with the examples\' weights: one a line, or an array' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l drop-columns -d 'Columns of csv that are left out: numbers from 1 or names, with commas between' -r
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l names -d 'File with the features\' names, one a line' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l first-index -d 'The first index in libsvm files, 0 or 1 [default: 0 if it occurs, else 1]' -r
complete -c petuum -n "__fish_petuum_using_subcommand dml" -s k -l dimensions -d 'Dimensions of the space that L maps to [default: 100, or the features if they are fewer]' -r
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l margin -d 'Squared distance that dissimilar pairs should have at least' -r
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l weight -d 'Weight of dissimilar pairs, relative to that of similar ones' -r
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l learning-rate -d 'Length of steps, for features of which pairs are 1 apart in the mean square' -r
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l batch -d 'Pairs of a mini-batch, half of them similar; each worker has its own' -r
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l exchange-every -d 'Mini-batches after which a worker exchanges its changes with the others, within a clock' -r
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l step-scaling -d 'How changes count less where several workers make them at once; under bsp they are averaged' -r -f -a "none\t'Not at all'
staleness\t'Divided by √((s+1) P): s of --staleness, P workers'
delay\t'Divided by √(1 + updates by others that a clock of this worker missed)'"
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l precision -d 'Operands of products: bf16 takes half the time where the processor has instructions for it' -r -f -a "f32\t'32-bit floats'
bf16\t'16-bit floats with the range of 32-bit ones (bfloat16)'"
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l exchange -d 'What hosts send each other' -r -f -a "auto\t'indices (in hidden layers factors) where a clock\'s are fewer bytes than one exchange in full, by the number of hosts, else full; full under async and for other steps than plain ones'
full\t'Changes of all numbers of a matrix'
factors\t'What the gradients of mini-batches are made of'
indices\t'The same, with the numbers of examples in the place of their features'"
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l initial -d 'What L begins with [default: pca; random for sparse examples, of many features and few values]' -r -f -a "pca\t'The directions in which the examples differ most'
random\t'Random directions'"
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l similar -d 'Similar pairs instead of labels: two examples a line, numbered from 0' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l dissimilar -d 'Dissimilar pairs, likewise' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l test -d 'Labelled examples whose neighbours are looked for among the others: file or folder' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l holdout -d 'Part of the examples that is kept out and looked for [default: 0.1, without --test]' -r
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l neighbors -d 'Neighbours that vote on the class of a test example' -r
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l workers -d 'Worker threads on each host [default: slots= of the hosts file, or the cores]' -r
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l shards -d 'Parameter-server shards in each process' -r
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l hosts -d 'Train on several hosts, one a line: host[:port] [slots=N]' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l rank -d 'Start only this rank of --hosts; give the same command on every host' -r
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l secret-file -d 'File with the secret that all ranks share' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l connect-timeout -d 'How long to wait for the other hosts at the start' -r
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l consistency -d 'What a read of shared parameters may miss' -r -f -a "bsp\t'Nothing: every clock reads the result of the one before; runs are bit-identical'
ssp\t'The last S clocks; rows that miss more are fetched'
essp\t'The last S clocks; changed rows are pushed to their readers at once'
async\t'Anything: reads never wait'"
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l staleness -d 'Clocks that a read may miss' -r
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l bandwidth -d 'Megabits a second that each host may send, and may receive' -r
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l priority -d 'Which changed rows leave first under --bandwidth' -r -f -a "magnitude\t'Those that have changed most since they left last, relative to their value: Σ|δ| / Σ|v|'
age\t'Those that have waited longest'
random\t'Any'"
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l wire -d 'How 32-bit floats of shared tables travel between hosts; blocks that move travel as they are' -r -f -a "f32\t'As they are'
bf16\t'Rounded to bfloat16, half the bytes; what rounding takes off an update follows with the next'"
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l clocks-per-pass -d 'Clock boundaries in one pass over the data' -r
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l clocks -d 'Stop after so many clocks; whichever of these four comes first' -r
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l time-limit -d 'Stop after so many seconds of training' -r
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l tolerance -d 'Stop when the objective has converged by this: unless the description above says otherwise, when it changes by less than this part of itself between two records; 0: never' -r
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l target -d 'Stop when the objective is at least as good as this' -r
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l evaluate-every -d 'Clocks between two objectives, which are also the records' -r
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l seed -d 'Where everything random comes from' -r
complete -c petuum -n "__fish_petuum_using_subcommand dml" -s o -l output -d 'Save the model in this folder, which must be new or empty' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l records -d 'The form of the records on standard output' -r -f -a "csv\t'Comma-separated values under a header'
jsonl\t'One JSON object a line, with the same names, and reads counted by their staleness'"
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l checkpoint -d 'Write checkpoints into this folder, which all hosts must see; the last two are kept' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l checkpoint-every -d 'Clocks between two checkpoints' -r
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l force -d 'Replace what an earlier run left in --output or --checkpoint'
complete -c petuum -n "__fish_petuum_using_subcommand dml" -s q -l quiet -d 'No progress and no notes on standard error; errors stay'
complete -c petuum -n "__fish_petuum_using_subcommand dml" -l resume -d 'Go on from the newest complete checkpoint in --checkpoint'
complete -c petuum -n "__fish_petuum_using_subcommand dml" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c petuum -n "__fish_petuum_using_subcommand dml" -s V -l version -d 'Print version'
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l format -d 'The examples\' format: libsvm, csv, matrix-market, npy or idx [default: guessed]' -r
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l target-column -d 'The column of the target in csv: first, last, none, its number from 1 or its name' -r
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l targets -l labels -d 'File with the targets or labels: one a line, or an array (NumPy, Matrix Market, idx)' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l weight-column -d 'The column of csv that holds the examples\' weights: its number from 1 or its name' -r
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l weights -d 'File with the examples\' weights: one a line, or an array' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l drop-columns -d 'Columns of csv that are left out: numbers from 1 or names, with commas between' -r
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l names -d 'File with the features\' names, one a line' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l first-index -d 'The first index in libsvm files, 0 or 1 [default: 0 if it occurs, else 1]' -r
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l layers -d 'Units of the hidden layers, from the input on; 0 for none' -r
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l activation -d 'What hidden units do with their sums' -r -f -a "relu\t'max(0, x)'
sigmoid\t'1 / (1 + e^-x)'
tanh\t'tanh x'
gelu\t'x Φ(x), with Φ the normal distribution'"
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l loss -d 'What is minimised' -r -f -a "cross-entropy\t'Targets are classes: minus the logarithm of the probability of the right one'
squared\t'Targets are numbers: the squared error'"
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l optimizer -d 'How a step follows from a gradient' -r -f -a "sgd\t'The gradient itself'
momentum\t'A sum of gradients, older ones weighing less'
nesterov\t'The same, looking one step ahead'
adam\t'Adam, with decoupled weight decay'"
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l learning-rate -d 'Length of steps [default: 0.1 for sgd, 0.02 for momentum and nesterov, 0.001 for adam]' -r
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l momentum -d 'How much of the last step momentum and nesterov keep, and adam of the last gradients' -r
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l schedule -d 'How the learning rate changes until the run has done its --clocks' -r -f -a "constant\t'Not at all'
step\t'To a tenth, after each of three equal parts of the run but the last'
cosine\t'Along half a cosine, to 0 at the end of the run'"
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l warm-up -d 'Passes in which the learning rate grows from 0' -r
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l weight-decay -d 'Weight of the squared weights, without biases: each step takes this times the learning rate off' -r
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l dropout -d 'Part of the hidden units that are switched off at random while training' -r
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l batch -d 'Samples of a mini-batch; each worker has its own' -r
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l exchange-every -d 'Mini-batches after which a worker exchanges its changes with the others, within a clock' -r
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l step-scaling -d 'How changes count less where several workers make them at once; under bsp they are averaged' -r -f -a "none\t'Not at all'
staleness\t'Divided by √((s+1) P): s of --staleness, P workers'
delay\t'Divided by √(1 + updates by others that a clock of this worker missed)'"
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l precision -d 'Operands of products: bf16 takes half the time where the processor has instructions for it' -r -f -a "f32\t'32-bit floats'
bf16\t'16-bit floats with the range of 32-bit ones (bfloat16)'"
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l exchange -d 'What hosts send each other of each layer' -r -f -a "auto\t'indices (in hidden layers factors) where a clock\'s are fewer bytes than one exchange in full, by the number of hosts, else full; full under async and for other steps than plain ones'
full\t'Changes of all numbers of a matrix'
factors\t'What the gradients of mini-batches are made of'
indices\t'The same, with the numbers of examples in the place of their features'"
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l standardize -d 'How features are brought to a common scale; the saved model takes them as they are' -r -f -a "auto\t'Images as a whole, other dense features one by one, sparse ones not'
features\t'Each feature to mean 0 and standard deviation 1; sparse ones to a mean square of 1'
together\t'All features together to mean 0 and standard deviation 1'
none\t'Not at all'"
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l test -d 'Examples to predict: file or folder' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l test-targets -l test-labels -d 'File with the targets of --test, if they are in a file of their own' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l holdout -d 'Part of the examples that is kept out and predicted [default: 0.1, without --test]' -r
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l patience -d 'Records without improvement after which --tolerance ends the run' -r
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l workers -d 'Worker threads on each host [default: slots= of the hosts file, or the cores]' -r
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l shards -d 'Parameter-server shards in each process' -r
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l hosts -d 'Train on several hosts, one a line: host[:port] [slots=N]' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l rank -d 'Start only this rank of --hosts; give the same command on every host' -r
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l secret-file -d 'File with the secret that all ranks share' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l connect-timeout -d 'How long to wait for the other hosts at the start' -r
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l consistency -d 'What a read of shared parameters may miss' -r -f -a "bsp\t'Nothing: every clock reads the result of the one before; runs are bit-identical'
ssp\t'The last S clocks; rows that miss more are fetched'
essp\t'The last S clocks; changed rows are pushed to their readers at once'
async\t'Anything: reads never wait'"
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l staleness -d 'Clocks that a read may miss' -r
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l bandwidth -d 'Megabits a second that each host may send, and may receive' -r
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l priority -d 'Which changed rows leave first under --bandwidth' -r -f -a "magnitude\t'Those that have changed most since they left last, relative to their value: Σ|δ| / Σ|v|'
age\t'Those that have waited longest'
random\t'Any'"
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l wire -d 'How 32-bit floats of shared tables travel between hosts; blocks that move travel as they are' -r -f -a "f32\t'As they are'
bf16\t'Rounded to bfloat16, half the bytes; what rounding takes off an update follows with the next'"
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l clocks-per-pass -d 'Clock boundaries in one pass over the data' -r
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l clocks -d 'Stop after so many clocks; whichever of these four comes first' -r
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l time-limit -d 'Stop after so many seconds of training' -r
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l tolerance -d 'Stop when the objective has converged by this: unless the description above says otherwise, when it changes by less than this part of itself between two records; 0: never' -r
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l target -d 'Stop when the objective is at least as good as this' -r
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l evaluate-every -d 'Clocks between two objectives, which are also the records' -r
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l seed -d 'Where everything random comes from' -r
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -s o -l output -d 'Save the model in this folder, which must be new or empty' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l records -d 'The form of the records on standard output' -r -f -a "csv\t'Comma-separated values under a header'
jsonl\t'One JSON object a line, with the same names, and reads counted by their staleness'"
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l checkpoint -d 'Write checkpoints into this folder, which all hosts must see; the last two are kept' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l checkpoint-every -d 'Clocks between two checkpoints' -r
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l force -d 'Replace what an earlier run left in --output or --checkpoint'
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -s q -l quiet -d 'No progress and no notes on standard error; errors stay'
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -l resume -d 'Go on from the newest complete checkpoint in --checkpoint'
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c petuum -n "__fish_petuum_using_subcommand dnn" -s V -l version -d 'Print version'
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l format -d 'The examples\' format: libsvm, csv, matrix-market, npy or idx [default: guessed]' -r
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l target-column -d 'The column of the target in csv: first, last, none, its number from 1 or its name' -r
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l targets -l labels -d 'File with the targets or labels: one a line, or an array (NumPy, Matrix Market, idx)' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l weight-column -d 'The column of csv that holds the examples\' weights: its number from 1 or its name' -r
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l weights -d 'File with the examples\' weights: one a line, or an array' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l drop-columns -d 'Columns of csv that are left out: numbers from 1 or names, with commas between' -r
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l names -d 'File with the features\' names, one a line' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l first-index -d 'The first index in libsvm files, 0 or 1 [default: 0 if it occurs, else 1]' -r
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l lambda -d 'λ: weight of the penalty' -r
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l lambda-ratio -d 'λ as a part of λ_max, the smallest λ at which all coefficients are 0; of a path, its last [default: 0.1; of a path 0.01, or 0.0001 with more samples than features]' -r
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l l1-ratio -d 'α: part of the penalty that is ‖b‖₁; the rest is ½‖b‖²' -r
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l loss -d 'What is lost where a prediction is wrong' -r -f -a "squared\t'Half the squared error'
logistic\t'Negative log-likelihood of two classes'"
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l path -d 'Solve for N values of λ, evenly spaced on a logarithmic scale, from λ_max down' -r
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l folds -d 'Choose λ by cross-validation over so many parts of the samples; without --path 100 values are tried' -r
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l choose -d 'Which λ cross-validation chooses for the model' -r -f -a "min\t'That of the least deviance of the samples left out'
1se\t'The largest λ whose deviance is within one standard error of the least'"
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l schedule -d 'Which coefficients are worked on first' -r -f -a "priority\t'Those that promise most'
cyclic\t'In turn'
random\t'Any'"
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l correlation-threshold -d 'Features that are correlated by more than this do not join the working set together, as long as 32 are left that may [default: 0.2, or 6/√n with fewer than 900 samples]' -r
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l workers -d 'Worker threads on each host [default: slots= of the hosts file, or the cores]' -r
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l shards -d 'Parameter-server shards in each process' -r
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l hosts -d 'Train on several hosts, one a line: host[:port] [slots=N]' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l rank -d 'Start only this rank of --hosts; give the same command on every host' -r
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l secret-file -d 'File with the secret that all ranks share' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l connect-timeout -d 'How long to wait for the other hosts at the start' -r
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l consistency -d 'What a read of shared parameters may miss' -r -f -a "bsp\t'Nothing: every clock reads the result of the one before; runs are bit-identical'
ssp\t'The last S clocks; rows that miss more are fetched'
essp\t'The last S clocks; changed rows are pushed to their readers at once'
async\t'Anything: reads never wait'"
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l staleness -d 'Clocks that a read may miss' -r
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l bandwidth -d 'Megabits a second that each host may send, and may receive' -r
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l priority -d 'Which changed rows leave first under --bandwidth' -r -f -a "magnitude\t'Those that have changed most since they left last, relative to their value: Σ|δ| / Σ|v|'
age\t'Those that have waited longest'
random\t'Any'"
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l wire -d 'How 32-bit floats of shared tables travel between hosts; blocks that move travel as they are' -r -f -a "f32\t'As they are'
bf16\t'Rounded to bfloat16, half the bytes; what rounding takes off an update follows with the next'"
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l clocks-per-pass -d 'Clock boundaries in one pass over the data' -r
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l clocks -d 'Stop after so many clocks; whichever of these four comes first' -r
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l time-limit -d 'Stop after so many seconds of training' -r
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l tolerance -d 'Stop when the objective has converged by this: unless the description above says otherwise, when it changes by less than this part of itself between two records; 0: never' -r
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l target -d 'Stop when the objective is at least as good as this' -r
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l evaluate-every -d 'Clocks between two objectives, which are also the records' -r
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l seed -d 'Where everything random comes from' -r
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -s o -l output -d 'Save the model in this folder, which must be new or empty' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l records -d 'The form of the records on standard output' -r -f -a "csv\t'Comma-separated values under a header'
jsonl\t'One JSON object a line, with the same names, and reads counted by their staleness'"
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l checkpoint -d 'Write checkpoints into this folder, which all hosts must see; the last two are kept' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l checkpoint-every -d 'Clocks between two checkpoints' -r
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l standardize -d 'Scale features to standard deviation 1 for the penalty; coefficients are told for the features as they are'
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l no-intercept -d 'Predict from the features alone'
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l force -d 'Replace what an earlier run left in --output or --checkpoint'
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -s q -l quiet -d 'No progress and no notes on standard error; errors stay'
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -l resume -d 'Go on from the newest complete checkpoint in --checkpoint'
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c petuum -n "__fish_petuum_using_subcommand lasso" -s V -l version -d 'Print version'
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l format -d 'The documents\' format: docword, lda-c, libsvm, text or cache [default: guessed]' -r
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l vocab -d 'File with one word a line, in the order of the word ids' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l stop-words -d 'File with words, one a line, that are left out of plain text' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l min-count -d 'Leave out words of plain text that occur fewer times than this in all documents' -r
complete -c petuum -n "__fish_petuum_using_subcommand lda" -s k -l topics -d 'Number of topics [default: 100; for the built-in sample 10]' -r
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l alpha -d 'Prior weight of each topic in each document' -r
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l beta -d 'Prior weight of each word in each topic' -r
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l holdout -d 'Part of the documents that is kept out and predicted' -r
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l left-to-right -d 'At the end, also estimate ln p of whole held-out documents with so many particles' -r
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l parallel -d 'What workers share' -r -f -a "model\t'Word blocks rotate around the workers; counts of words are never stale'
data\t'Counts of all words are shared, as stale as --staleness allows; for comparison'"
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l sampler -d 'How topics are drawn' -r -f -a "auto\t'What is fastest for so many topics and such documents: dense or sparse'
dense\t'All topics weighed, sixteen at a time; exact'
sparse\t'The document\'s topics weighed, a tree for the others; exact'
alias\t'Metropolis-Hastings steps, proposals from alias tables; exact, but moves less'
warp\t'The same with counts of words that lag behind; not exact'"
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l mh-steps -d 'Rounds of proposals for each token, with --sampler alias or warp' -r
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l blocks-per-worker -d 'Word blocks for each worker; with 2, one travels while the other is worked on' -r
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l top-words -d 'Words that describe a topic, at the end of the run and in topics.txt' -r
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l topics-every -d 'Write the topics\' top words every so many passes, to topics-PASS.txt in --topics-folder' -r
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l topics-folder -d 'Folder for the files of --topics-every; it is made if it is not there' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l workers -d 'Worker threads on each host [default: slots= of the hosts file, or the cores]' -r
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l shards -d 'Parameter-server shards in each process' -r
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l hosts -d 'Train on several hosts, one a line: host[:port] [slots=N]' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l rank -d 'Start only this rank of --hosts; give the same command on every host' -r
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l secret-file -d 'File with the secret that all ranks share' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l connect-timeout -d 'How long to wait for the other hosts at the start' -r
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l consistency -d 'What a read of shared parameters may miss' -r -f -a "bsp\t'Nothing: every clock reads the result of the one before; runs are bit-identical'
ssp\t'The last S clocks; rows that miss more are fetched'
essp\t'The last S clocks; changed rows are pushed to their readers at once'
async\t'Anything: reads never wait'"
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l staleness -d 'Clocks that a read may miss' -r
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l bandwidth -d 'Megabits a second that each host may send, and may receive' -r
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l priority -d 'Which changed rows leave first under --bandwidth' -r -f -a "magnitude\t'Those that have changed most since they left last, relative to their value: Σ|δ| / Σ|v|'
age\t'Those that have waited longest'
random\t'Any'"
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l wire -d 'How 32-bit floats of shared tables travel between hosts; blocks that move travel as they are' -r -f -a "f32\t'As they are'
bf16\t'Rounded to bfloat16, half the bytes; what rounding takes off an update follows with the next'"
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l clocks-per-pass -d 'Clock boundaries in one pass over the data' -r
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l clocks -d 'Stop after so many clocks; whichever of these four comes first' -r
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l time-limit -d 'Stop after so many seconds of training' -r
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l tolerance -d 'Stop when the objective has converged by this: unless the description above says otherwise, when it changes by less than this part of itself between two records; 0: never' -r
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l target -d 'Stop when the objective is at least as good as this' -r
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l evaluate-every -d 'Clocks between two objectives, which are also the records' -r
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l seed -d 'Where everything random comes from' -r
complete -c petuum -n "__fish_petuum_using_subcommand lda" -s o -l output -d 'Save the model in this folder, which must be new or empty' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l records -d 'The form of the records on standard output' -r -f -a "csv\t'Comma-separated values under a header'
jsonl\t'One JSON object a line, with the same names, and reads counted by their staleness'"
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l checkpoint -d 'Write checkpoints into this folder, which all hosts must see; the last two are kept' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l checkpoint-every -d 'Clocks between two checkpoints' -r
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l optimize-alpha -d 'Fit a weight for each topic instead of keeping --alpha'
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l optimize-beta -d 'Fit the weight of words in topics instead of keeping --beta'
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l doc-topics -d 'Also save the topic counts of every document'
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l force -d 'Replace what an earlier run left in --output or --checkpoint'
complete -c petuum -n "__fish_petuum_using_subcommand lda" -s q -l quiet -d 'No progress and no notes on standard error; errors stay'
complete -c petuum -n "__fish_petuum_using_subcommand lda" -l resume -d 'Go on from the newest complete checkpoint in --checkpoint'
complete -c petuum -n "__fish_petuum_using_subcommand lda" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c petuum -n "__fish_petuum_using_subcommand lda" -s V -l version -d 'Print version'
complete -c petuum -n "__fish_petuum_using_subcommand mf" -s k -l factors -d 'Number of factors of each user and each item [default: 32; for the built-in sample 5]' -r
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l regularization -d 'λ: weight of the squared factors and biases, once per rating' -r
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l method -d 'How factors are found' -r -f -a "sgd\t'Stochastic gradient descent, rating by rating: the fastest'
als\t'Alternating least squares: all users exactly, then all items'
ccd\t'CCD++, coordinate descent: one factor of all users and items after the other'"
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l confidence -d 'A: with --implicit a rating r counts 1 + A r times as much as a pair that was not seen [default: 40]' -r
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l inner-iterations -d 'How often each factor goes from the users to the items and back in a pass of --method ccd [default: 1]' -r
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l learning-rate -d 'Length of the first steps of --method sgd, whatever the scale of the ratings [default: 0.3; with --parallel data 0.1]' -r
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l test -d 'Ratings to predict: file or folder' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l holdout -d 'Part of the ratings that is kept out and predicted [default: 0.1, without --test]' -r
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l parallel -d 'What workers share' -r -f -a "model\t'Item blocks rotate around the workers; no factor is ever stale'
data\t'All items are shared, as stale as --staleness allows; for comparison'"
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l step-scaling -d 'How steps on items become shorter under --parallel data, where several workers take them at once [default: delay]' -r -f -a "none\t'Not at all'
staleness\t'Divided by √((s+1) P): s of --staleness, P workers'
delay\t'Divided by √(1 + updates by others that a clock of this worker missed)'"
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l blocks-per-worker -d 'Least number of item blocks for each worker that rotate under --parallel model; with 2, one travels while the other is worked on [default: 2]' -r
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l workers -d 'Worker threads on each host [default: slots= of the hosts file, or the cores]' -r
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l shards -d 'Parameter-server shards in each process' -r
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l hosts -d 'Train on several hosts, one a line: host[:port] [slots=N]' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l rank -d 'Start only this rank of --hosts; give the same command on every host' -r
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l secret-file -d 'File with the secret that all ranks share' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l connect-timeout -d 'How long to wait for the other hosts at the start' -r
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l consistency -d 'What a read of shared parameters may miss' -r -f -a "bsp\t'Nothing: every clock reads the result of the one before; runs are bit-identical'
ssp\t'The last S clocks; rows that miss more are fetched'
essp\t'The last S clocks; changed rows are pushed to their readers at once'
async\t'Anything: reads never wait'"
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l staleness -d 'Clocks that a read may miss' -r
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l bandwidth -d 'Megabits a second that each host may send, and may receive' -r
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l priority -d 'Which changed rows leave first under --bandwidth' -r -f -a "magnitude\t'Those that have changed most since they left last, relative to their value: Σ|δ| / Σ|v|'
age\t'Those that have waited longest'
random\t'Any'"
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l wire -d 'How 32-bit floats of shared tables travel between hosts; blocks that move travel as they are' -r -f -a "f32\t'As they are'
bf16\t'Rounded to bfloat16, half the bytes; what rounding takes off an update follows with the next'"
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l clocks-per-pass -d 'Clock boundaries in one pass over the data' -r
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l clocks -d 'Stop after so many clocks; whichever of these four comes first' -r
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l time-limit -d 'Stop after so many seconds of training' -r
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l tolerance -d 'Stop when the objective has converged by this: unless the description above says otherwise, when it changes by less than this part of itself between two records; 0: never' -r
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l target -d 'Stop when the objective is at least as good as this' -r
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l evaluate-every -d 'Clocks between two objectives, which are also the records' -r
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l seed -d 'Where everything random comes from' -r
complete -c petuum -n "__fish_petuum_using_subcommand mf" -s o -l output -d 'Save the model in this folder, which must be new or empty' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l records -d 'The form of the records on standard output' -r -f -a "csv\t'Comma-separated values under a header'
jsonl\t'One JSON object a line, with the same names, and reads counted by their staleness'"
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l checkpoint -d 'Write checkpoints into this folder, which all hosts must see; the last two are kept' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l checkpoint-every -d 'Clocks between two checkpoints' -r
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l implicit -d 'What was seen was liked, and nothing else was: weighted by --confidence, without biases; with --method als'
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l no-bias -d 'Predict from the mean and the factors alone; with --nonnegative from the factors alone'
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l nonnegative -d 'Keep all factors at 0 or above'
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l force -d 'Replace what an earlier run left in --output or --checkpoint'
complete -c petuum -n "__fish_petuum_using_subcommand mf" -s q -l quiet -d 'No progress and no notes on standard error; errors stay'
complete -c petuum -n "__fish_petuum_using_subcommand mf" -l resume -d 'Go on from the newest complete checkpoint in --checkpoint'
complete -c petuum -n "__fish_petuum_using_subcommand mf" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c petuum -n "__fish_petuum_using_subcommand mf" -s V -l version -d 'Print version'
complete -c petuum -n "__fish_petuum_using_subcommand predict" -l model -d 'The model: the folder that a training run wrote with --output' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand predict" -l format -d 'The data\'s format [default: guessed]' -r
complete -c petuum -n "__fish_petuum_using_subcommand predict" -l workers -d 'Threads [default: cores]' -r
complete -c petuum -n "__fish_petuum_using_subcommand predict" -l top -d 'How many items to recommend to each user (mf), or topics to name of each document (lda)' -r
complete -c petuum -n "__fish_petuum_using_subcommand predict" -l pairs -d 'Distances of pairs of the examples instead of vectors: two examples a line, from 0 (dml)' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand predict" -l vocab -d 'File with one word a line, in the order of the data\'s word ids (lda)' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand predict" -l passes -d 'At most so many times a document\'s words are gone through (lda) [default: 50]' -r
complete -c petuum -n "__fish_petuum_using_subcommand predict" -l target-column -d 'The column of the target in csv: first, last, none, its number from 1 or its name' -r
complete -c petuum -n "__fish_petuum_using_subcommand predict" -l targets -l labels -d 'File with the targets or labels: one a line, or an array (NumPy, Matrix Market, idx)' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand predict" -l weight-column -d 'The column of csv that holds the examples\' weights: its number from 1 or its name' -r
complete -c petuum -n "__fish_petuum_using_subcommand predict" -l weights -d 'File with the examples\' weights: one a line, or an array' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand predict" -l drop-columns -d 'Columns of csv that are left out: numbers from 1 or names, with commas between' -r
complete -c petuum -n "__fish_petuum_using_subcommand predict" -l names -d 'File with the features\' names, one a line' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand predict" -l first-index -d 'The first index in libsvm files, 0 or 1 [default: 0 if it occurs, else 1]' -r
complete -c petuum -n "__fish_petuum_using_subcommand predict" -l probabilities -d 'The probability of every class instead of the likeliest class (classifiers)'
complete -c petuum -n "__fish_petuum_using_subcommand predict" -s q -l quiet -d 'No notes on standard error; errors stay'
complete -c petuum -n "__fish_petuum_using_subcommand predict" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c petuum -n "__fish_petuum_using_subcommand predict" -s V -l version -d 'Print version'
complete -c petuum -n "__fish_petuum_using_subcommand convert" -l format -d 'The data\'s format [default: guessed]' -r
complete -c petuum -n "__fish_petuum_using_subcommand convert" -s o -l output -d 'The file to write' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand convert" -l vocab -d 'File with one word a line, in the order of the word ids' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand convert" -l stop-words -d 'File with words, one a line, that are left out of plain text' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand convert" -l min-count -d 'Leave out words of plain text that occur fewer times than this in all documents' -r
complete -c petuum -n "__fish_petuum_using_subcommand convert" -l memory -d 'MiB of memory for features on their way to columns' -r
complete -c petuum -n "__fish_petuum_using_subcommand convert" -l target-column -d 'The column of the target in csv: first, last, none, its number from 1 or its name' -r
complete -c petuum -n "__fish_petuum_using_subcommand convert" -l targets -l labels -d 'File with the targets or labels: one a line, or an array (NumPy, Matrix Market, idx)' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand convert" -l weight-column -d 'The column of csv that holds the examples\' weights: its number from 1 or its name' -r
complete -c petuum -n "__fish_petuum_using_subcommand convert" -l weights -d 'File with the examples\' weights: one a line, or an array' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand convert" -l drop-columns -d 'Columns of csv that are left out: numbers from 1 or names, with commas between' -r
complete -c petuum -n "__fish_petuum_using_subcommand convert" -l names -d 'File with the features\' names, one a line' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand convert" -l first-index -d 'The first index in libsvm files, 0 or 1 [default: 0 if it occurs, else 1]' -r
complete -c petuum -n "__fish_petuum_using_subcommand convert" -l force -d 'Replace the file if it is there'
complete -c petuum -n "__fish_petuum_using_subcommand convert" -l columns -d 'Read examples instead of documents and write them by columns'
complete -c petuum -n "__fish_petuum_using_subcommand convert" -s q -l quiet -d 'No notes on standard error; errors stay'
complete -c petuum -n "__fish_petuum_using_subcommand convert" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c petuum -n "__fish_petuum_using_subcommand convert" -s V -l version -d 'Print version'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and not __fish_seen_subcommand_from dml dnn lasso lda mf help" -s h -l help -d 'Print help'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and not __fish_seen_subcommand_from dml dnn lasso lda mf help" -s V -l version -d 'Print version'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and not __fish_seen_subcommand_from dml dnn lasso lda mf help" -f -a "dml" -d 'Classes in a few directions among many that tell nothing'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and not __fish_seen_subcommand_from dml dnn lasso lda mf help" -f -a "dnn" -d 'Points of rings, a class each, in a space of many dimensions'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and not __fish_seen_subcommand_from dml dnn lasso lda mf help" -f -a "lasso" -d 'Examples whose targets follow from a few planted features'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and not __fish_seen_subcommand_from dml dnn lasso lda mf help" -f -a "lda" -d 'Documents with planted topics, as UCI docword and vocabulary'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and not __fish_seen_subcommand_from dml dnn lasso lda mf help" -f -a "mf" -d 'Ratings with a planted low rank and the marginals of MovieLens-10M'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and not __fish_seen_subcommand_from dml dnn lasso lda mf help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from dml" -s o -l output -d 'Folder for clusters.NAME.csv' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from dml" -l name -d 'NAME in the file\'s name' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from dml" -l points -d 'Number of points' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from dml" -l classes -d 'Number of classes' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from dml" -l features -d 'Dimensions' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from dml" -s k -l dimensions -d 'Dimensions that tell classes apart' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from dml" -l noise -d 'Standard deviation of points of a class, where that of centres is 1' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from dml" -l distraction -d 'Standard deviation in the dimensions that tell nothing' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from dml" -l seed -d 'Everything random comes from it' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from dml" -l gzip -d 'Write gzip instead of plain text'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from dml" -l force -d 'Replace a file that is there'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from dml" -s q -l quiet -d 'No notes on standard error; errors stay'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from dml" -s h -l help -d 'Print help'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from dml" -s V -l version -d 'Print version'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from dnn" -s o -l output -d 'Folder for rings.NAME.csv' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from dnn" -l name -d 'NAME in the file\'s name' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from dnn" -l points -d 'Number of points' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from dnn" -l classes -d 'Number of rings' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from dnn" -l features -d 'Dimensions of the space' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from dnn" -l noise -d 'Standard deviation of the noise, where rings are 1 apart' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from dnn" -l seed -d 'Everything random comes from it' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from dnn" -l gzip -d 'Write gzip instead of plain text'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from dnn" -l force -d 'Replace a file that is there'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from dnn" -s q -l quiet -d 'No notes on standard error; errors stay'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from dnn" -s h -l help -d 'Print help'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from dnn" -s V -l version -d 'Print version'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from lasso" -s o -l output -d 'Folder for examples.NAME.FORMAT and planted.NAME.csv' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from lasso" -l name -d 'NAME in the files\' names' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from lasso" -l samples -d 'Number of examples' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from lasso" -l features -d 'Number of features' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from lasso" -l planted -d 'Number of features with a planted coefficient' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from lasso" -l design -d 'What the features are like' -r -f -a "independent\t'Dense and independent'
chain\t'Dense, each correlated with the one before'
blocks\t'Dense, correlated within blocks'
sparse\t'Sparse, with values of tf-idf'
ones\t'Sparse, every value that is not 0 is 1'"
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from lasso" -l correlation -d 'Correlation of neighbours in a chain, or of all features in a block' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from lasso" -l block -d 'Features in a block' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from lasso" -l nonzeros -d 'Examples in which a sparse feature is, on average' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from lasso" -l signal -d 'Variance that the features explain, over variance that they do not' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from lasso" -l format -d 'The form of the examples: design is written feature by feature, in little memory' -r -f -a "design\t'The binary form that petuum maps'
csv\t'Text, target first, with a header'
libsvm\t'Text, index:value'"
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from lasso" -l seed -d 'Everything random comes from it' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from lasso" -l gzip -d 'Write gzip instead of plain text'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from lasso" -l force -d 'Replace files that are there'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from lasso" -s q -l quiet -d 'No notes on standard error; errors stay'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from lasso" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from lasso" -s V -l version -d 'Print version'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from lda" -s o -l output -d 'Folder for docword.NAME.txt.gz, vocab.NAME.txt and planted.NAME.txt' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from lda" -l name -d 'NAME in the files\' names' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from lda" -l documents -d 'Number of documents' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from lda" -l words -d 'Synthetic words, this many, named w1 and on [default: readable words]' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from lda" -s k -l topics -d 'Number of topics [default: 8, or 100 with --words]' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from lda" -l length -d 'Mean number of words in a document' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from lda" -l alpha -d 'Prior weight of each topic in each document' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from lda" -l seed -d 'Everything random comes from it' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from lda" -l plain -d 'Write plain text instead of gzip'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from lda" -l force -d 'Replace files that are there'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from lda" -s q -l quiet -d 'No notes on standard error; errors stay'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from lda" -s h -l help -d 'Print help'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from lda" -s V -l version -d 'Print version'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from mf" -s o -l output -d 'Folder for ratings.NAME.tsv, test.NAME.tsv and planted.NAME.txt' -r -F
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from mf" -l name -d 'NAME in the files\' names' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from mf" -l ratings -d 'Number of ratings, those for the test included' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from mf" -l users -d 'Number of users' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from mf" -l items -d 'Number of items' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from mf" -s k -l rank -d 'Number of planted factors' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from mf" -l noise -d 'Standard deviation of what no model can explain, before ratings are rounded' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from mf" -l holdout -d 'Part of the ratings that goes into test.NAME.tsv' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from mf" -l seed -d 'Everything random comes from it' -r
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from mf" -l gzip -d 'Write gzip instead of plain text'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from mf" -l force -d 'Replace files that are there'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from mf" -s q -l quiet -d 'No notes on standard error; errors stay'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from mf" -s h -l help -d 'Print help'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from mf" -s V -l version -d 'Print version'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from help" -f -a "dml" -d 'Classes in a few directions among many that tell nothing'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from help" -f -a "dnn" -d 'Points of rings, a class each, in a space of many dimensions'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from help" -f -a "lasso" -d 'Examples whose targets follow from a few planted features'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from help" -f -a "lda" -d 'Documents with planted topics, as UCI docword and vocabulary'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from help" -f -a "mf" -d 'Ratings with a planted low rank and the marginals of MovieLens-10M'
complete -c petuum -n "__fish_petuum_using_subcommand generate; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c petuum -n "__fish_petuum_using_subcommand completions" -s h -l help -d 'Print help'
complete -c petuum -n "__fish_petuum_using_subcommand completions" -s V -l version -d 'Print version'
complete -c petuum -n "__fish_petuum_using_subcommand man" -s h -l help -d 'Print help'
complete -c petuum -n "__fish_petuum_using_subcommand man" -s V -l version -d 'Print version'
complete -c petuum -n "__fish_petuum_using_subcommand help; and not __fish_seen_subcommand_from dml dnn lasso lda mf predict convert generate completions man help" -f -a "dml" -d 'Distance metrics: similar examples near, dissimilar ones apart'
complete -c petuum -n "__fish_petuum_using_subcommand help; and not __fish_seen_subcommand_from dml dnn lasso lda mf predict convert generate completions man help" -f -a "dnn" -d 'Neural networks: classes or numbers from features'
complete -c petuum -n "__fish_petuum_using_subcommand help; and not __fish_seen_subcommand_from dml dnn lasso lda mf predict convert generate completions man help" -f -a "lasso" -d 'Sparse linear and logistic regression: lasso and elastic net'
complete -c petuum -n "__fish_petuum_using_subcommand help; and not __fish_seen_subcommand_from dml dnn lasso lda mf predict convert generate completions man help" -f -a "lda" -d 'Topic models: latent Dirichlet allocation'
complete -c petuum -n "__fish_petuum_using_subcommand help; and not __fish_seen_subcommand_from dml dnn lasso lda mf predict convert generate completions man help" -f -a "mf" -d 'Matrix factorisation: recommendations from ratings'
complete -c petuum -n "__fish_petuum_using_subcommand help; and not __fish_seen_subcommand_from dml dnn lasso lda mf predict convert generate completions man help" -f -a "predict" -d 'Use a saved model: predictions for further data, as csv on standard output'
complete -c petuum -n "__fish_petuum_using_subcommand help; and not __fish_seen_subcommand_from dml dnn lasso lda mf predict convert generate completions man help" -f -a "convert" -d 'Turn data into a binary file that later runs map into memory'
complete -c petuum -n "__fish_petuum_using_subcommand help; and not __fish_seen_subcommand_from dml dnn lasso lda mf predict convert generate completions man help" -f -a "generate" -d 'Write synthetic data with a known truth'
complete -c petuum -n "__fish_petuum_using_subcommand help; and not __fish_seen_subcommand_from dml dnn lasso lda mf predict convert generate completions man help" -f -a "completions" -d 'Print the completion script of a shell'
complete -c petuum -n "__fish_petuum_using_subcommand help; and not __fish_seen_subcommand_from dml dnn lasso lda mf predict convert generate completions man help" -f -a "man" -d 'Write the man pages'
complete -c petuum -n "__fish_petuum_using_subcommand help; and not __fish_seen_subcommand_from dml dnn lasso lda mf predict convert generate completions man help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c petuum -n "__fish_petuum_using_subcommand help; and __fish_seen_subcommand_from generate" -f -a "dml" -d 'Classes in a few directions among many that tell nothing'
complete -c petuum -n "__fish_petuum_using_subcommand help; and __fish_seen_subcommand_from generate" -f -a "dnn" -d 'Points of rings, a class each, in a space of many dimensions'
complete -c petuum -n "__fish_petuum_using_subcommand help; and __fish_seen_subcommand_from generate" -f -a "lasso" -d 'Examples whose targets follow from a few planted features'
complete -c petuum -n "__fish_petuum_using_subcommand help; and __fish_seen_subcommand_from generate" -f -a "lda" -d 'Documents with planted topics, as UCI docword and vocabulary'
complete -c petuum -n "__fish_petuum_using_subcommand help; and __fish_seen_subcommand_from generate" -f -a "mf" -d 'Ratings with a planted low rank and the marginals of MovieLens-10M'
