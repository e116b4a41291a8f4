<?php

// Shows requests to the code for PHP: reads a case a line, and answers for each whether its code takes it.

set_error_handler(function (int $level, string $message): never {
    throw new ErrorException($message);
});

while (($line = fgets(STDIN)) !== false) {
    // The code's number, the second that it is, the body, and the headers.
    [$number, $now, $body, $rest] = explode(' ', trim($line), 4) + ['', '', '', ''];
    $headers = [];
    foreach (explode(' ', $rest) as $word) {
        [$name, $value] = explode(':', $word, 2);
        $headers[$name] = base64_decode($value);
    }
    require_once __DIR__ . "/codes/of_$number.php";
    $GLOBALS['now'] = (int) $now;
    echo json_encode("of_$number\\verify"($headers, base64_decode($body))), "\n";
}
