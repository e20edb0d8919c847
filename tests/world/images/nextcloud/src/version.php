<?php
$OC_Version = array(@NUMBERS@);
$OC_VersionString = '@VERSION@';
$OC_Edition = '';
$OC_Channel = 'stable';
$vendor = 'nextcloud';
