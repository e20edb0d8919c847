<?php
return ['versionnumber' => '6.17.15', 'dbversionnumber' => 640];
